/** The page's only way to make elements: data enters as text or as a property, never as markup. */

export const byId = (id) => document.getElementById(id);

/** `properties` are DOM properties (className, textContent, ...) or, if the element has none of that name, attributes. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** Set text only if it differs, so that screen readers and selections are left alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === "";
}

/** null: under way, no telling how far. */
export function setProgress(bar, fraction) {
  if (fraction === null) bar.removeAttribute("value");
  else bar.value = fraction;
}

let fading;
export function toast(text) {
  const node = byId("toast");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => node.classList.remove("shown"), 4000);
}

/** navigator.clipboard exists in secure contexts only; a service on a plain http:// address needs the old way. */
export async function copyText(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    toast(words);
  } catch {
    const field = element("textarea", { value: text, className: "unseen" });
    (document.querySelector("dialog[open]") ?? document.body).append(field); // beside an open dialog nothing can be selected
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    toast(copied ? words : text);
  }
}
