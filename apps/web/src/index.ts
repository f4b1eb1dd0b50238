/** @vsim/web: the page, for who puts a question into it. The page itself is `@vsim/web/doctor.html`. */
export { pageWith } from './page-with.ts';
export type { Question } from './question.ts';
