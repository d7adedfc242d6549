// The stories: what people do with the console. Each gets a page of a browser, the address of a console, and throws when
// something is not as it should be.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// Every page: what it is called, and its address.
const pages = {
  overview: './',
  topics: 'topics',
  topic: 'topic?name=web_log',
  records: 'records?topic=web_log',
  search: 'search?topic=web_log&from=oldest&q=9007199254740&values=1',
  record: 'record?topic=web_log&partition=0&offset=7',
  decoded: 'record?topic=bookings&partition=0&offset=3',
  hostile: 'record?topic=pictures&partition=0&offset=1',
  groups: 'groups',
  group: 'group?name=shippers',
  queues: 'queues',
  queue: 'group?name=mailer',
  produce: 'produce?topic=web_log&partition=0&offset=7',
  kit: 'fake/kit',
  error: 'topic?name=nobody',
};

const go = (page, url, path) => page.goto(new URL(path, url + '/').href);

// leave clicks what leads to another page, and returns when that is there as a whole: a click alone returns when it begins.
async function leave(page, link) {
  await link.click();
  await page.waitForLoadState();
}

// axe-core finds nothing wrong with any page, in one colour scheme and of one width.
export async function accessible({ page, url, axe, args: [colorScheme, width] }) {
  const source = readFileSync(axe, 'utf8'); // evaluated: the policy of the pages lets no script in
  const wrong = [];
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width: Number(width), height: 740 });
  for (const [name, path] of Object.entries(pages)) {
    if (name === 'error') continue; // the browser complains of its status
    await go(page, url, path);
    await page.evaluate(source);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const v of violations) {
      wrong.push(`${name}: ${v.id}: ${v.help}\n  ${v.nodes.map((n) => n.html).slice(0, 3).join('\n  ')}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) wrong.push(`${name}: ${wide} pixels are beyond ${width}`);
  }
  assert.equal(wrong.length, 0, wrong.join('\n'));
}

// The page of each thing, photographed into a directory.
export async function photographs({ page, url, args: [dir] }) {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1000, height: 620 });
  for (const [name, path] of Object.entries(pages)) {
    await go(page, url, path);
    await page.waitForTimeout(name === 'overview' || name === 'topic' ? 6500 : 300);
    await page.screenshot({ path: join(dir, `${name}.png`) });
  }
  await page.emulateMedia({ colorScheme: 'dark' });
  await go(page, url, pages.overview);
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(dir, 'dark.png') });
  await page.setViewportSize({ width: 360, height: 740 });
  await go(page, url, pages.records);
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(dir, 'narrow.png') });
}

const rowsOf = (page, table) => page.locator(`${table} tbody tr[data-at]`).evaluateAll((rows) => rows.map((r) => r.dataset.at));

// A record opens in its row and closes again, by mouse and by keyboard; the number in it is the one that was produced.
export async function opening({ page, url }) {
  await go(page, url, 'records?topic=web_log&partition=0&from=0');
  await page.locator('#records tbody th a').first().click();
  await page.locator('tr.opened article').waitFor();
  assert.match(await page.locator('tr.opened pre.json').textContent(), /"request": 90071992547\d{5}/);
  await page.locator('#records tbody th a').first().click();
  await page.locator('tr.opened').waitFor({ state: 'detached' });
  await page.locator('h1').click();
  for (const key of ['j', 'j', 'j', 'k', 'Enter']) await page.keyboard.press(key);
  await page.locator('tr.at + tr.opened article').waitFor();
  assert.equal(await page.locator('tr.at').getAttribute('data-at'), '0:1');
  await page.keyboard.press(']');
  await page.waitForURL(/newer=50/);
  assert.equal((await rowsOf(page, '#records'))[0], '0:50');
  await page.clock.setFixedTime(new Date()); // the second key may come as late as it likes
  for (const [key, path] of [['t', '/topics'], ['o', '/'], ['g', '/groups']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL((u) => u.pathname === path);
  }
  await page.keyboard.press('?');
  await page.locator('dialog[open]').waitFor();
}

// What a schema has made is read as it was meant, in lists too, beside its bytes, and found by that.
export async function decoding({ page, url }) {
  await go(page, url, 'records?topic=bookings&from=0');
  const row = page.locator('#records tr[data-at="0:3"]');
  assert.equal(await row.locator('td.value').textContent(), '{"booking":9007199254740996,"guest":"Frieda 3"}');
  await row.locator('th a').click();
  const article = page.locator('tr.opened article');
  assert.equal(await article.locator('pre.json').textContent(), '{\n  "booking": 9007199254740996,\n  "guest": "Frieda 3"\n}');
  assert.match(await article.locator('pre.hex').textContent(), /00 00 00 00 07/);
  await article.getByText('Decoded by Avro, schema 7').waitFor();
  await go(page, url, 'record?topic=bookings&partition=0&offset=20');
  await page.getByText('Not decoded: schema 9 is not in the registry').waitFor();
  await go(page, url, 'search?topic=bookings&from=oldest&q=9007199254740996');
  await page.locator('#ended').waitFor();
  assert.equal(await page.locator('#found').textContent(), '1');
  assert.equal(await page.locator('#records mark').textContent(), '9007199254740996');
}

// How a topic grows is drawn, and stands in a table.
export async function growing({ page, url }) {
  await go(page, url, 'topic?name=web_log');
  await page.locator('[data-history] canvas').nth(1).waitFor();
  const minute = page.locator('#growth-rows tbody tr').first().locator('td').first();
  const before = await minute.textContent();
  assert.equal(await page.locator('#growth-rows tbody th').allTextContents().then((all) => all.join()), '1 min,10 min,1 h,1 d,7 d');
  await page.waitForFunction((b) => document.querySelector('#growth-rows tbody td').textContent !== b, before);
  await page.waitForFunction(async () => { // where it takes long to look, it is noted less often
    const drawn = await (await fetch(document.querySelector('[data-history]').dataset.history)).json();
    return drawn.times.length > 1 && drawn.records.some((v) => v > 0) && drawn.size.at(-1) > 0;
  }, null, { polling: 500 });
}

// Numbers stay up to date without anybody doing anything, and charts are drawn.
export async function numbers({ page, url }) {
  await go(page, url, './');
  await page.locator('[data-history] canvas').first().waitFor();
  const records = () => page.locator('#numbers dd.sub').first().textContent();
  const before = await records();
  await page.waitForFunction((b) => document.querySelector('#numbers dd.sub').textContent !== b, before);
  await page.waitForFunction(() => document.querySelector('#as-of').textContent.startsWith('as of '));
  await page.waitForFunction(() => Number(document.querySelector('#numbers dd').textContent.replace(',', '')) > 0);
}

// Without JavaScript all is there to be read.
export async function plain({ browser, url }) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await go(page, url, './');
  await page.getByRole('link', { name: 'Topics', exact: true }).click();
  await page.getByLabel('Name has').fill('web');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByRole('link', { name: 'web_log', exact: true }).click();
  await page.getByRole('link', { name: 'Records', exact: true }).click();
  await page.locator('select[name=partition]').selectOption('1');
  await page.getByRole('combobox', { name: 'From' }).fill('3');
  await page.getByRole('button', { name: 'Go' }).click();
  await page.getByRole('link', { name: 'record 5 of partition 1' }).click();
  assert.match(await page.locator('pre.json').textContent(), /"path": /);
}

// A search goes on by itself, tells how far it is, and can be stopped; what it has found is saved, digit by digit.
export async function searching({ page, url }) {
  await go(page, url, 'records?topic=web_log');
  await page.locator('summary').click();
  const form = page.getByRole('search');
  await form.getByLabel('Search for').fill('host');
  await form.getByLabel('from').fill('oldest');
  await form.getByLabel('values').uncheck();
  await leave(page, form.getByRole('button'));
  await page.locator('#ended').waitFor();
  assert.equal(await page.locator('#found').textContent(), '600');
  assert.equal(await page.locator('#records tbody tr[data-at]').count(), 600);
  assert.equal(await page.locator('#records mark').first().textContent(), 'host');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as JSON lines' }).click()]);
  const lines = readFileSync(await download.path(), 'utf8').trim().split('\n');
  assert.equal(download.suggestedFilename(), 'web_log.jsonl');
  assert.equal(lines.length, 600);
  assert.match(lines[0], /"value":"\{\\"path.*9007199254/);
  let goOn;
  const stopped = new Promise((done) => { goOn = done; });
  await page.route(/search\?.*at=/, async (route) => { // the second step waits until the search is stopped
    await stopped;
    await route.continue().catch(() => {}); // it is of the search that was stopped
  });
  await go(page, url, 'search?topic=many&q=needle&from=oldest');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  const looked = await page.locator('#looked').textContent();
  goOn();
  await page.waitForTimeout(500);
  assert.ok(Number((await page.locator('#looked').textContent()).replaceAll(',', '')) < 100000, 'it was stopped before its end');
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.locator('#ended').waitFor();
  assert.equal(await page.locator('#looked').textContent(), '100,000', `stopped at ${looked}`);
}

// The tail is followed, newest first, and opened rows are what they are; it stops when it is told to.
export async function following({ page, url }) {
  await go(page, url, 'records?topic=web_log&partition=0&from=0');
  await leave(page, page.getByRole('button', { name: 'Follow' }));
  await page.getByRole('button', { name: 'Stop following' }).waitFor();
  await page.locator('#following', { hasText: /following: \d+ records/ }).waitFor();
  const offsets = (await rowsOf(page, '#records')).map((at) => Number(at.split(':')[1]));
  assert.deepEqual(offsets, offsets.toSorted((a, b) => b - a));
  for (const key of ['j', 'Enter']) await page.keyboard.press(key); // a mouse would have to meet a row that moves
  await page.locator('tr.opened pre', { hasText: '"live"' }).waitFor();
  await page.keyboard.press('f');
  await page.locator('#following', { hasText: /followed/ }).waitFor();
  const n = (await rowsOf(page, '#records')).length;
  await page.waitForTimeout(600);
  assert.equal((await rowsOf(page, '#records')).length, n);
}

// A record is produced again with a change, from its page, and a slip is told without what was typed being lost.
export async function producing({ page, url }) {
  await go(page, url, 'record?topic=web_log&partition=0&offset=7');
  const was = await page.locator('pre.json').textContent();
  await leave(page, page.getByRole('link', { name: 'Produce again…' }));
  await page.getByLabel('Topic').fill('web_logg');
  await page.getByLabel('Partition').fill('');
  await page.locator('#key').fill('again');
  await Promise.all([page.waitForResponse((r) => r.status() === 404), leave(page, page.getByRole('button', { name: 'Produce' }))]);
  await page.getByRole('alert').waitFor();
  assert.match(await page.getByRole('alert').textContent(), /web_logg/);
  await page.getByLabel('Topic').fill('orders');
  await leave(page, page.getByRole('button', { name: 'Produce' }));
  await page.waitForURL(/record\?/);
  assert.equal(await page.locator('pre.json').textContent(), was);
  assert.equal(await page.locator('pre.text').first().textContent(), 'again');
}

// A group is reset when yes was said, and a dead letter is sent back.
export async function mending({ page, url }) {
  await go(page, url, 'group?name=nightly+report');
  await page.getByLabel('To', { exact: true }).fill('oldest');
  await leave(page, page.getByRole('button', { name: 'Show what it would do' }));
  assert.match(await page.locator('main p').first().textContent(), /^30 records come again\.$/);
  await leave(page, page.getByRole('link', { name: 'No', exact: true }));
  const committed = page.locator('#partition-rows tbody tr').first().locator('td').nth(1);
  assert.equal(await committed.textContent(), '10');
  await page.getByLabel('To', { exact: true }).fill('oldest');
  await leave(page, page.getByRole('button', { name: 'Show what it would do' }));
  await leave(page, page.getByRole('button', { name: 'Yes, reset the group' }));
  await page.waitForURL(/group\?/);
  assert.equal(await committed.textContent(), '0');

  await go(page, url, 'queues');
  await leave(page, page.getByRole('link', { name: 'mailer' }));
  const letters = page.locator('input[name=at]');
  assert.equal(await letters.count(), 3);
  await page.locator('#all-letters').check();
  await letters.first().uncheck();
  await leave(page, page.getByRole('button', { name: 'Send those chosen back' }));
  await page.getByText('2 sent back.').waitFor();
}

// A fake broker has a disk that is full, once, and is begun anew.
export async function faking({ page, url }) {
  const produce = async () => {
    await go(page, url, 'fake/produce?topic=orders');
    await page.locator('#value').fill('tea');
    await leave(page, page.getByRole('button', { name: 'Produce' }));
  };
  await go(page, url, 'fake/kit');
  await page.getByLabel('Topic').fill('orders');
  await page.getByLabel('so often').fill('1');
  await page.getByLabel('with').fill('ErrDiskFull');
  await leave(page, page.getByRole('button', { name: 'Make it' }));
  await page.locator('tbody tr', { hasText: /append.*orders/ }).waitFor();
  await produce();
  assert.match(await page.getByRole('alert').textContent(), /disk/);
  await produce();
  await page.waitForURL(/fake\/record\?/);
  await go(page, url, 'fake/kit');
  await page.getByLabel('I am sure').check();
  await leave(page, page.getByRole('button', { name: 'Reset' }));
  await page.waitForURL(/fake\/kit/);
  await go(page, url, 'fake/records?topic=orders');
  await page.getByText('No records here.').waitFor();
}

// A customer of the shop orders, kills it, and finds all that was there.
export async function shopping({ page, url }) {
  const text = async (id) => (await page.locator(id).textContent()).trim();
  await page.goto(url);
  await page.getByLabel('product').selectOption('book');
  await page.getByLabel('how many').fill('3');
  await leave(page, page.getByRole('button', { name: 'order', exact: true }));
  assert.equal(await text('#left-book'), '97');
  assert.match(await text('#latest'), /book\s*3\s*gregor@example\.org/);
  const pid = await text('#pid');
  await page.getByRole('button', { name: 'kill it' }).click();
  await page.waitForFunction((was) => document.querySelector('#pid')?.textContent > '' && document.querySelector('#pid').textContent !== was, pid);
  assert.equal(await text('#left-book'), '97');
  assert.match(await text('#latest'), /book\s*3\s*gregor@example\.org/);
  for (let books = ''; !/ 1 mails/.test(books); books = await text('#books')) {
    await page.reload(); // the mail may have been in hand when it was killed
  }
  assert.match(await text('#books'), /1 orders, 1 mails\. The books are balanced\./);
  await leave(page, page.getByRole('button', { name: 'restock book' }));
  assert.equal(await text('#left-book'), '197');
  await leave(page, page.getByRole('link', { name: 'the console' }));
  await page.getByRole('link', { name: 'orders', exact: true }).first().waitFor();
}
