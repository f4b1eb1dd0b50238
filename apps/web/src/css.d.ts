/** Style is put into the page by its build. */
declare module '*.css';
