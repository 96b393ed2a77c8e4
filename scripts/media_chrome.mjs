// Puts the elements of media-chrome that the player uses together as one module, without inline styles: media-chrome
// writes <style> into its shadow roots, which the pages' Content-Security-Policy forbids, and shall go on to forbid.
// Constructed style sheets say the same and need no exception. Usage: node scripts/media_chrome.mjs FILE
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const ELEMENTS = ["controller", "play-button", "mute-button", "volume-range", "time-range", "airplay-button", "pip-button", "fullscreen-button"];
// How an element fills its shadow root, in media-chrome's two ways of saying it.
const FILLS = /this\.shadowRoot\.setHTMLUnsafe \? this\.shadowRoot\.setHTMLUnsafe\((html)\) : this\.shadowRoot\.innerHTML = html;|this\.shadowRoot\.innerHTML = (this\.constructor\.getTemplateHTML\(attrs\));/g;
// What finds a rule in a shadow root's <style>, or adds one: utils/element-utils.js has them.
const RULES = /^function (getCSSRule|insertCSSRule)\(.*?^\}$/gms;

const SHEETS = `
const contents = new Map(); // by their HTML: what all elements of a kind share
const own = new WeakMap(); // a shadow root's own sheet: what an element says of itself
function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const { content } = template;
  // Declared shadow roots are for HTML from servers; elements that are made here fill their own.
  content.querySelectorAll("template[shadowrootmode]").forEach((each) => each.remove());
  const sheet = new CSSStyleSheet();
  const styles = [...content.querySelectorAll("style")];
  sheet.replaceSync(styles.map((each) => each.textContent).join(""));
  styles.forEach((each) => each.remove());
  return { content, sheet };
}
export function fill(root, html) {
  if (!contents.has(html)) contents.set(html, parsed(html));
  const { content, sheet } = contents.get(html);
  own.set(root, new CSSStyleSheet());
  root.adoptedStyleSheets = [sheet, own.get(root)];
  root.replaceChildren(document.importNode(content, true));
}
// Only own rules are written to: those of the kind stand in the sheet before, and yield to them.
function getCSSRule(root, predicate) {
  return [...own.get(root).cssRules].find((rule) => predicate(rule.selectorText));
}
function insertCSSRule(root, selector) {
  const { cssRules } = own.get(root);
  return cssRules[own.get(root).insertRule(selector + "{}", cssRules.length)];
}
`;

let [filled, ruled] = [0, 0];
const withoutInlineStyles = {
  name: "without-inline-styles",
  setup(bundle) {
    bundle.onLoad({ filter: /media-chrome\/dist\/.*\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, "utf8");
      if (path.endsWith("utils/element-utils.js")) {
        contents = contents.replace(RULES, () => ((ruled += 1), "")) + SHEETS;
      }
      const before = filled;
      contents = contents.replace(FILLS, (_, one, other) => ((filled += 1), `fillShadow(this.shadowRoot, ${one ?? other});`));
      if (filled > before) contents = `import { fill as fillShadow } from "media-chrome/dist/utils/element-utils.js";\n${contents}`;
      return { contents };
    });
  },
};

const { outputFiles } = await build({
  stdin: { contents: ELEMENTS.map((name) => `import "media-chrome/dist/media-${name}.js";`).join("\n"), resolveDir: "." },
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  legalComments: "none",
  write: false,
  outfile: process.argv[2],
  plugins: [withoutInlineStyles],
  alias: { "media-chrome/dist/utils/element-utils.js": "./node_modules/media-chrome/dist/utils/element-utils.js" },
});
const [{ text, path }] = outputFiles;
// Another version of media-chrome may say it in a third way.
if (ruled !== 2 || /setHTMLUnsafe|innerHTML ?= ?this\.constructor\.getTemplateHTML/.test(text)) {
  throw new Error("media-chrome has changed: scripts/media_chrome.mjs no longer knows how it writes its styles.");
}
await writeFile(path, text);
