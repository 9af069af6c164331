// A terminal's screen as a picture: what `tmux capture-pane -epN` prints, on stdin, becomes an SVG on stdout.
//
//   screen_svg.js COLUMNS
const COLUMNS = Number(process.argv[2]);
const [CELL, LINE, MARGIN] = [8.4, 18, 10];
const INK = '#d4d4d4', PAPER = '#1e1e1e';
const BASIC = ['#1e1e1e', '#f14c4c', '#23d18b', '#e5e510', '#3b8eea', '#d670d6', '#29b8db', '#cccccc',
  '#767676', '#f14c4c', '#23d18b', '#f5f543', '#3b8eea', '#d670d6', '#29b8db', '#ffffff'];

// One of a terminal's 256 colours.
function indexed(n) {
  if (n < 16) return BASIC[n];
  if (n >= 232) return rgb(...Array(3).fill(8 + (n - 232) * 10));
  const level = (value) => (value ? 55 + value * 40 : 0);
  return rgb(level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6));
}
const rgb = (...parts) => `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;

// The style after the numbers of one `ESC [ … m`.
function styled(style, numbers) {
  for (let at = 0; at < numbers.length; at++) {
    const n = numbers[at];
    if (n === 0) style = {};
    else if (n === 1) style = { ...style, bold: true };
    else if (n === 22) style = { ...style, bold: false };
    else if (n === 3) style = { ...style, italic: true };
    else if (n === 23) style = { ...style, italic: false };
    else if (n === 7 || n === 27) style = { ...style, reverse: n === 7 };
    else if (n === 39) style = { ...style, ink: undefined };
    else if (n === 49) style = { ...style, paper: undefined };
    else if (n === 38 || n === 48) {
      const [color, taken] = numbers[at + 1] === 5 ? [indexed(numbers[at + 2]), 2] : [rgb(...numbers.slice(at + 2, at + 5)), 4];
      style = { ...style, [n === 38 ? 'ink' : 'paper']: color };
      at += taken;
    } else if (n >= 30 && n <= 37) style = { ...style, ink: BASIC[n - 30] };
    else if (n >= 90 && n <= 97) style = { ...style, ink: BASIC[n - 82] };
    else if (n >= 40 && n <= 47) style = { ...style, paper: BASIC[n - 40] };
    else if (n >= 100 && n <= 107) style = { ...style, paper: BASIC[n - 92] };
  }
  return style;
}

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const lines = require('node:fs').readFileSync(0, 'utf8').replace(/\n$/, '').split('\n');
const drawn = [];
// tmux goes on with a line's style in the next one.
let style = {};
lines.forEach((line, row) => {
  let column = 0;
  for (const part of line.matchAll(/\x1b\[([0-9;:]*)m|\x1b[^m]*m|([^\x1b]+)/g)) {
    if (part[1] !== undefined) style = styled(style, part[1].split(/[;:]/).map(Number));
    if (!part[2]) continue;
    const text = part[2], length = [...text].length;
    const [ink, paper] = style.reverse ? [style.paper ?? PAPER, style.ink ?? INK] : [style.ink ?? INK, style.paper];
    const [x, y, width] = [MARGIN + column * CELL, MARGIN + row * LINE, length * CELL];
    if (paper) drawn.push(`<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${LINE}" fill="${paper}"/>`);
    const face = `${style.bold ? ' font-weight="bold"' : ''}${style.italic ? ' font-style="italic"' : ''}`;
    // A word each: pictures lose space between words.
    for (const word of text.matchAll(/\S+/g)) {
      const [at, wide] = [[...text.slice(0, word.index)].length, [...word[0]].length * CELL];
      drawn.push(`<text x="${(x + at * CELL).toFixed(1)}" y="${y + 13}" fill="${ink}"${face} textLength="${wide.toFixed(1)}">${escape(word[0])}</text>`);
    }
    column += length;
  }
});
const [width, height] = [Math.ceil(COLUMNS * CELL + 2 * MARGIN), lines.length * LINE + 2 * MARGIN];
console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="14">
<rect width="${width}" height="${height}" rx="6" fill="${PAPER}"/>
${drawn.join('\n')}
</svg>`);
