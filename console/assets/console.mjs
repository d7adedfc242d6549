// What every page has: numbers that stay up to date, and the keyboard.
// A page is whole without it.
import { keepUpToDate } from './live.mjs';
import { listen } from './keys.mjs';

keepUpToDate();
listen();
if (document.querySelector('[data-history]')) import('./charts.mjs').then((m) => m.draw());
if (document.querySelector('#records')) import('./records.mjs').then((m) => m.start());
