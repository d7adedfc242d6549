// play.mjs URL STORY ARG...: plays a story of stories.mjs in a browser. What the browser says on its console is a failure, too.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as stories from './stories.mjs';

const require = createRequire(join(process.env.NODE_MODULES, 'here.js'));
const { chromium } = require('playwright-core');
const [url, name, ...args] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
try {
  const context = await browser.newContext({ viewport: { width: 1200, height: 760 }, timezoneId: 'Asia/Kolkata', acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const complaints = [];
  page.on('pageerror', (e) => complaints.push(`error: ${e}`));
  page.on('console', (m) => { if ((m.type() === 'error' || m.type() === 'warning') && !/the server responded with a status of (4|503)|ERR_CONNECTION_(REFUSED|RESET)|ERR_EMPTY_RESPONSE/.test(m.text())) complaints.push(`${m.type()}: ${m.text()}`); });
  page.on('request', (r) => { if (!r.url().startsWith(url) && !r.url().startsWith('blob:')) complaints.push(`a request to elsewhere: ${r.url()}`); });
  await stories[name]({ page, context, browser, url, args, axe: require.resolve('axe-core/axe.min.js') });
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
} catch (e) {
  console.error(e.stack || e);
  process.exitCode = 1;
} finally {
  await browser.close();
}
