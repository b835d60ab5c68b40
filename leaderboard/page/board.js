"use strict";
// The pages are whole without this file: it adds a choice of theme, sorting, a filter and folding.

const THEMES = ["automatic", "light", "dark"];

function remembered() {
  try { return localStorage.getItem("bench3d-theme"); } catch { return null; } // a browser may forbid it for pages from disk
}

function useTheme(name) {
  if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
}

useTheme(remembered());

function addTheme() {
  const button = document.createElement("button");
  let current = THEMES.includes(remembered()) ? remembered() : "automatic";
  const label = () => { button.textContent = `Theme: ${current}`; };
  button.type = "button";
  button.className = "theme";
  button.addEventListener("click", () => {
    current = THEMES[(THEMES.indexOf(current) + 1) % THEMES.length];
    try { localStorage.setItem("bench3d-theme", current); } catch { /* it then lasts as long as the page */ }
    useTheme(current);
    label();
  });
  label();
  document.querySelector(".top")?.append(button);
}

// What a cell is sorted by: a number, a text, or null where there is nothing; these come last in both directions.
function keyOf(row, column, kind) {
  const cell = row.cells[column];
  if (kind === "text") return cell.textContent.trim().toLowerCase() || null;
  const number = parseFloat(cell.dataset.v ?? cell.textContent.trim().split(/\s/)[0].replaceAll(",", "").replace("−", "-"));
  return Number.isNaN(number) ? null : number;
}

function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null);
  return (a < b ? -1 : a > b ? 1 : 0) * direction;
}

function sorted(items, rowOf, column, kind, direction) {
  if (!direction) return [...items].sort((a, b) => a.place - b.place);
  return [...items].sort((a, b) => compare(keyOf(rowOf(a), column, kind), keyOf(rowOf(b), column, kind), direction) || a.place - b.place);
}

function order(table, column, kind, direction) {
  const bodies = [...table.tBodies];
  for (const body of bodies) {
    // The first row of a family is the one that the others stand under.
    const fixed = bodies.length > 1 ? 1 : 0;
    const rows = [...body.rows];
    body.append(...rows.slice(0, fixed), ...sorted(rows.slice(fixed), (row) => row, column, kind, direction));
  }
  for (const body of sorted(bodies, (body) => body.rows[0], column, kind, direction)) table.insertBefore(body, table.tFoot);
}

function addSorting(table) {
  const heads = [...table.tHead.rows[0].cells];
  [...table.tBodies].forEach((body, place) => {
    body.place = place;
    [...body.rows].forEach((row, inner) => { row.place = inner; });
  });
  heads.forEach((head, column) => {
    const kind = head.dataset.sort;
    if (!kind) return;
    const first = kind === "high" ? -1 : 1;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    const link = head.querySelector("a");
    if (link) {
      button.setAttribute("aria-label", `Sort by ${head.textContent.replace(/\s+/g, " ").trim()}`);
      link.after(button);
    } else {
      button.append(...[...head.childNodes].filter((node) => node.nodeName !== "SMALL"));
      head.prepend(button);
    }
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const now = { ascending: 1, descending: -1, none: 0 }[head.getAttribute("aria-sort")];
      const next = now === 0 ? first : now === first ? -first : 0;
      heads.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next === 1 ? "ascending" : next === -1 ? "descending" : "none");
      order(table, column, kind === "text" ? "text" : "number", next);
    });
  });
}

function addFilter(input) {
  const table = document.getElementById(input.dataset.filter);
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  const status = input.closest(".tools").querySelector("[role=status]");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of rows) {
      const lead = row.parentElement.rows[0].cells[0].textContent;
      const text = `${lead} ${row.cells[0].textContent} ${row.cells[row.cells.length - 1].textContent}`.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      row.toggleAttribute("data-out", !fits);
      left += fits;
    }
    table.toggleAttribute("data-filtered", words.length > 0);
    status.textContent = words.length ? `${left} of ${rows.length} rows` : "";
  });
}

function addFolding(button) {
  const table = document.getElementById(button.dataset.fold);
  const families = [...table.tBodies].filter((body) => body.rows.length > 1);
  const each = families.map((body) => {
    const count = body.rows.length - 1;
    const own = document.createElement("button");
    own.type = "button";
    own.className = "fold";
    const set = (folded) => {
      body.classList.toggle("folded", folded);
      own.setAttribute("aria-expanded", String(!folded));
      own.textContent = `${folded ? "▸" : "▾"} ${count} variant${count > 1 ? "s" : ""}`;
    };
    own.addEventListener("click", () => set(!body.classList.contains("folded")));
    body.rows[0].cells[0].append(own);
    return set;
  });
  let all = table.hasAttribute("data-folded");
  const set = (folded) => {
    all = folded;
    each.forEach((one) => one(folded));
    button.textContent = folded ? "Show variants" : "Hide variants";
  };
  button.addEventListener("click", () => set(!all));
  set(all);
}

document.addEventListener("DOMContentLoaded", () => {
  addTheme();
  document.querySelectorAll("table[data-sortable]").forEach(addSorting);
  document.querySelectorAll("[data-filter]").forEach(addFilter);
  document.querySelectorAll("[data-fold]").forEach(addFolding);
  document.querySelectorAll(".tools").forEach((tools) => { tools.hidden = false; });
});
