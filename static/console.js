"use strict";
{
    const headOf = (cell) => cell?.closest("table")?.querySelectorAll("thead th")[cell.cellIndex]?.firstChild?.textContent.trim() ?? "";

    // The cells of inline rows have their names only in the table's head.
    const nameCells = () => {
        for (const field of document.querySelectorAll(".tabular td :is(input, select, textarea):not([type=hidden], [aria-label])")) {
            const name = field.labels?.length ? "" : headOf(field.closest("td"));
            if (name) field.setAttribute("aria-label", name);
        }
    };

    // Select2 gives its box no name: take the field's.
    const nameBoxes = () => {
        for (const box of document.querySelectorAll(".select2-selection:not([aria-label])")) {
            const select = box.closest(".select2-container").previousElementSibling;
            const name = select?.getAttribute("aria-label") || select?.labels?.[0]?.textContent.trim().replace(/:$/, "");
            if (!name) continue;
            box.setAttribute("aria-label", name);
            box.removeAttribute("aria-labelledby");
            box.querySelector(".select2-selection__rendered")?.setAttribute("aria-label", name);
            box.querySelector(".select2-search__field")?.setAttribute("aria-label", name);
        }
    };

    // A date and its time are two boxes under one label that names neither.
    const nameHalves = () => {
        for (const half of document.querySelectorAll(".datetime input:not([aria-label])")) {
            const row = half.closest(".flex-container, td");
            const label = row.querySelector("label, legend")?.textContent.trim().replace(/:$/, "") ?? headOf(row);
            half.setAttribute("aria-label", `${label} (${half.previousSibling.textContent.trim().replace(/:$/, "")})`);
        }
    };

    // The chooser of two lists hangs names on icons that, having no role, may not have one.
    const nameIcons = () => {
        for (const icon of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) icon.setAttribute("role", "img");
    };

    // What Select2 hangs below the page while a box is open: tell whose it is, as its markup is of an older ARIA.
    const nameOpened = () => {
        const box = document.querySelector(".select2-container--open .select2-selection[aria-owns]");
        const dropdown = document.querySelector("body > .select2-container--open");
        if (!box || !dropdown) return;
        const name = box.getAttribute("aria-label") ?? "";
        box.setAttribute("aria-controls", box.getAttribute("aria-owns"));
        dropdown.setAttribute("role", "region");
        dropdown.setAttribute("aria-label", name);
        dropdown.querySelector(".select2-search__field:not([aria-label])")?.setAttribute("aria-label", name);
    };

    // The cross that empties a box of several stands in their list without being an item of it.
    const nameCrosses = () => {
        for (const cross of document.querySelectorAll("ul > .select2-selection__clear:not([role])")) cross.setAttribute("role", "listitem");
    };

    // The search box of a list has a picture for a label, which counts for less than its help.
    const nameSearch = () => {
        const box = document.querySelector("#searchbar:not([aria-label])");
        if (box) box.setAttribute("aria-label", box.labels[0]?.querySelector("img")?.alt || "");
    };

    const nameAll = () => {
        nameHalves();
        nameCells();
        nameBoxes();
        nameIcons();
        nameOpened();
        nameCrosses();
        nameSearch();
    };

    // Boxes and rows are made by other scripts, at times of their own.
    new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
    nameAll();
}
