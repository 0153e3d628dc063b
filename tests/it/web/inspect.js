// Looks a page over as a person who cannot see it, or cannot see it well, would need it. Returns what is wrong.
const wrong = [];
const name = (element) => `${element.tagName.toLowerCase()}${element.id ? "#" + element.id : ""} ${(element.textContent || element.name || "").trim().slice(0, 40)}`;
const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip");

if (!document.documentElement.lang) wrong.push("the page names no language");
if (!document.title.trim()) wrong.push("the page has no title");
for (const landmark of ["header", "main", "footer"]) {
  if (document.querySelectorAll(landmark).length !== 1) wrong.push(`not one ${landmark}`);
}
if (document.querySelectorAll("h1").length !== 1) wrong.push(`${document.querySelectorAll("h1").length} h1`);
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
  const own = Number(heading.tagName[1]);
  if (own > level + 1) wrong.push(`h${own} after h${level}: ${name(heading)}`);
  level = own;
}
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) wrong.push(`id ${id} twice`);
for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    for (const id of element.getAttribute(attribute).split(/\s+/)) {
      if (!document.getElementById(id)) wrong.push(`${attribute} ${id} of ${name(element)} leads nowhere`);
    }
  }
}
for (const input of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const isLabelled = [...(input.labels || [])].some((label) => label.textContent.trim()) || input.getAttribute("aria-label");
  if (!isLabelled) wrong.push(`${name(input)} ${input.name} has no label`);
}
for (const element of document.querySelectorAll("button, a[href], summary")) {
  if (!element.textContent.trim() && !element.getAttribute("aria-label")) wrong.push(`${element.outerHTML.slice(0, 80)} says nothing`);
}
for (const image of document.querySelectorAll("img")) if (!image.hasAttribute("alt")) wrong.push("an image without alt");
for (const image of document.querySelectorAll("svg[role=img]")) if (!image.querySelector("title")) wrong.push("a drawing without a title");
for (const meter of document.querySelectorAll("progress")) if (!meter.getAttribute("aria-label")) wrong.push("a progress bar without a name");
for (const table of document.querySelectorAll("table")) {
  if (!table.caption || !table.caption.textContent.trim()) wrong.push(`a table without a caption: ${name(table)}`);
  for (const head of table.querySelectorAll("th")) if (!head.scope) wrong.push(`a th without scope: ${name(head)}`);
}
for (const element of document.querySelectorAll("[style], [onclick], [tabindex]")) {
  if (element.hasAttribute("style") || element.hasAttribute("onclick")) wrong.push(`${name(element)} has a style or script of its own`);
  if (Number(element.getAttribute("tabindex")) > 0) wrong.push(`${name(element)} jumps the queue of the tab key`);
}
// Everything a keyboard comes to is as large as a finger, or stands in a text.
if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) wrong.push(`the page is ${document.documentElement.scrollWidth} wide in ${document.documentElement.clientWidth}`);

const colour = (text) => {
  const parts = text.match(/[\d.]+%?/g);
  if (!parts) return [0, 0, 0, 0];
  const [r, g, b, a = 1] = parts.map((part) => (part.endsWith("%") ? Number(part.slice(0, -1)) / 100 : Number(part)));
  return [r, g, b, a];
};
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
const ground = (element) => {
  const layers = [];
  for (let each = element; each; each = each.parentElement) {
    const own = colour(getComputedStyle(each).backgroundColor);
    layers.push(own);
    if (own[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const luminance = ([r, g, b]) => {
  const [R, G, B] = [r, g, b].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * R + 0.7152 * G + 0.0722 * B;
};
const contrast = (one, other) => {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
let measured = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.textContent.trim() || !isShown(element) || element.closest("title, desc, script, noscript, option")) continue;
  const style = getComputedStyle(element);
  const below = ground(element);
  const own = colour(element.closest("svg") ? style.fill : style.color);
  const ratio = contrast(over(own, below), below);
  measured += 1;
  if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)} of ${name(element)}: ${style.color} on ${below.slice(0, 3).join(" ")}`);
}
if (measured < 5) wrong.push(`only ${measured} texts were measured`);
return [...new Set(wrong)];
