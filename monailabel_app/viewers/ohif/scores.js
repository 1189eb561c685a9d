// Measured scores as people write them: as many digits as the interval allows.

const DIGITS = 2; // significant ones of an interval's width: 20.54504 [19.02, 21.13] is known to a tenth
const DIGITS_ALONE = 3; // of a value without an interval
const MOST_DECIMALS = 6;

/** How many decimals a score is told with. */
export function decimalsOf({ value, interval }) {
  const width = interval ? Math.abs(interval[1] - interval[0]) : 0;
  const [size, digits] = width > 0 ? [width, DIGITS] : [Math.abs(value), DIGITS_ALONE];
  if (!(size > 0)) return 0;
  const decimals = digits - 1 - Math.floor(Math.log10(size));
  return Math.min(MOST_DECIMALS, Math.max(0, decimals));
}

/** The cells of a score's row: name with unit, value with interval, floor (a trivial method), ceiling (the best). */
export function scoreCells(score) {
  const decimals = decimalsOf(score);
  const text = value => (typeof value === 'number' ? value.toFixed(decimals) : '');
  const between = score.interval ? ` [${score.interval.map(text).join(', ')}]` : '';
  return [
    score.unit ? `${score.name} (${score.unit})` : score.name,
    `${text(score.value)}${between}`,
    text(score.floor),
    text(score.ceiling),
  ];
}

/** A row of the table of scores. */
export function scoreRow(score) {
  const [name, ...cells] = scoreCells(score);
  const row = document.createElement('tr');
  const head = Object.assign(document.createElement('th'), { scope: 'row', textContent: name });
  row.append(head, ...cells.map(textContent => Object.assign(document.createElement('td'), { textContent })));
  return row;
}
