// Filters the rows and findings that are already in the page; without it all of them are shown.
"use strict";
(() => {
  const form = document.querySelector("form");
  const table = document.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  const findings = [...document.querySelectorAll("#findings li")].map((item) => ({
    item,
    hosts: new Set(item.dataset.hosts.split(" ").map(Number)),
    group: item.dataset.group,
    verdict: item.dataset.verdict,
  }));
  const names = rows.map((row) => row.cells[0].textContent.trim().toLowerCase());
  const groups = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.group || "");
  const panel = document.getElementById("findings");
  const [title, back] = [panel.querySelector(".bar .picked"), panel.querySelector(".bar button")];
  const [count, none] = [panel.querySelector(".count"), panel.querySelector(".none")];
  const allWell = none.textContent;
  let picked = null;

  function draw() {
    const words = form.elements.host.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const verdict = form.elements.verdict.value;
    const named = names.map((name) => !words.length || words.some((word) => name.includes(word)));
    rows.forEach((row, index) => {
      const has = !verdict || row.dataset.verdicts.split(" ").includes(verdict);
      row.hidden = !(named[index] && has);
      row.classList.toggle("picked", picked !== null && picked.row === index);
      for (const cell of row.cells) {
        cell.classList.toggle("picked", Boolean(picked && picked.group && picked.cell === cell));
      }
    });
    let shown = 0;
    for (const { item, hosts, group, verdict: found } of findings) {
      const here = picked
        ? hosts.has(picked.row) && (!picked.group || picked.group === group)
        : [...hosts].some((index) => named[index]);
      item.hidden = !(here && (!verdict || verdict === found));
      shown += !item.hidden;
    }
    count.textContent = shown === findings.length ? `${shown}` : `${shown} of ${findings.length}`;
    title.textContent = picked ? picked.label : "";
    back.hidden = !picked;
    none.hidden = shown > 0;
    none.textContent = findings.length ? "Nothing found here." : allWell;
  }

  function pick(cell) {
    const row = rows.indexOf(cell.parentElement);
    const group = groups[cell.cellIndex];
    const again = picked && picked.cell === cell;
    picked = again ? null : { row, group, cell, label: cell.title };
    draw();
    panel.scrollTop = 0;
    if (panel.getBoundingClientRect().top > window.innerHeight / 2) panel.scrollIntoView();
  }

  function clear() {
    const cell = picked && picked.cell;
    picked = null;
    draw();
    const link = cell && cell.querySelector("a");
    if (link) link.focus();
  }

  // The arrow keys go from link to link, as in a sheet; a column without one further on is skipped.
  function step(link, key) {
    const cell = link.closest("th, td");
    const shown = rows.filter((row) => !row.hidden);
    const along = key === "ArrowLeft" || key === "ArrowRight";
    const line = along
      ? [...cell.parentElement.cells]
      : shown.map((row) => row.cells[cell.cellIndex]);
    const links = line.map((each) => each.querySelector("a")).filter(Boolean);
    const next = links[links.indexOf(link) + (key === "ArrowRight" || key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
  }

  table.tBodies[0].addEventListener("click", (event) => {
    const cell = event.target.closest("th, td");
    if (!cell || cell.classList.contains("about")) return;
    event.preventDefault();
    pick(cell);
  });
  table.addEventListener("keydown", (event) => {
    const link = event.target.closest("a");
    if (!link || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    step(link, event.key);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    if (event.key !== "/" || event.target === form.elements.host) return;
    event.preventDefault();
    form.elements.host.focus();
  });
  back.addEventListener("click", clear);
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  document.body.classList.add("script");
  draw();
})();
