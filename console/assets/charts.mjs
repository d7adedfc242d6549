// The charts of a page, of what the console has noted since somebody looks.
import uPlot from './uplot/uPlot.mjs';

const units = { records: (v) => short(v, 1000, ['', 'k', 'M', 'G']), bytes: (v) => short(v, 1024, ['', ' Ki', ' Mi', ' Gi', ' Ti']) };
units.size = units.bytes;

function short(v, base, names) {
  if (v === null || v === undefined) return '–';
  let i = 0;
  while (Math.abs(v) >= base && i < names.length - 1) { v /= base; i++; }
  return (Math.abs(v) >= 100 || Number.isInteger(v) ? Math.round(v) : v.toFixed(1)) + names[i];
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function chart(box, name) {
  const axis = () => ({ stroke: () => colour('--soft'), grid: { stroke: () => colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui' });
  return new uPlot({
    width: box.clientWidth, height: 130, legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (u, lo, hi) => [0, Math.max(hi * 1.1, 1)] } },
    axes: [{ ...axis(), size: 24, space: 90, values: (u, all) => all.map((t) => new Date(t * 1e3).toISOString().slice(11, 19)) }, { ...axis(), size: 52, values: (u, all) => all.map(units[name]) }],
    series: [{}, { stroke: () => colour('--accent'), width: 1.5, spanGaps: false, points: { show: (u, i, from, to) => to - from < 3 } }],
  }, [[], []], box);
}

export async function draw() {
  const place = document.querySelector('[data-history]');
  place.hidden = false;
  const charts = [...place.querySelectorAll('[data-chart]')].map((box) => ({ box, name: box.dataset.chart, plot: chart(box, box.dataset.chart) }));
  new ResizeObserver(() => charts.forEach(({ box, plot }) => plot.setSize({ width: box.clientWidth, height: 130 }))).observe(place);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach(({ plot }) => plot.redraw()));
  let tag = '';
  const refresh = async () => {
    if (document.hidden) return;
    const answer = await fetch(place.dataset.history, { headers: { 'Samsa-Poll': '1', ...(tag && { 'If-None-Match': tag }) }, cache: 'no-store' }).catch(() => null);
    if (!answer || answer.status !== 200) return; // live.mjs tells that
    tag = answer.headers.get('ETag') || '';
    const history = await answer.json();
    for (const { name, plot } of charts) plot.setData([history.times, history[name]]);
  };
  await refresh();
  setInterval(refresh, 2000);
}
