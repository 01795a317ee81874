// How a change is made to a package as it is loaded, under Node and in a page.

// `text` with each hunk of `diff` in the place of what it removes, which stands there once.
export function changed(text, diff) {
  for (const hunk of diff.split(/^@@.*\n/m).slice(1)) {
    const lines = hunk.split("\n").filter((line) => /^[ +-]/.test(line));
    const side = (sign) => lines.filter((line) => line[0] !== sign).map((line) => line.slice(1));
    const [before, after] = [side("+").join("\n"), side("-").join("\n")];
    if (text.split(before).length !== 2) throw new Error(`the package has no such place:\n${before}`);
    text = text.replace(before, () => after);
  }
  return text;
}
