/** The page's script: puts the app where the page has its place. */
import { render } from 'preact';
import './page.css';
import { App } from './view/app.tsx';

const place = document.getElementById('app');
if (place !== null) render(<App />, place);
