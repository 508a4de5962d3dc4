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

    const nameAll = () => {
        nameHalves();
        nameCells();
        nameBoxes();
        nameIcons();
    };

    // Boxes and rows are made by other scripts, at times of their own.
    new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
    nameAll();
}
