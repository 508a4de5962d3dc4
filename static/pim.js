"use strict";
{
    const words = document.querySelector("#pim-words").dataset;

    // --- countdowns ---

    const fill = (sentence, span) => sentence.replace("%s", span);

    const span = (seconds) => {
        const minutes = Math.floor(seconds / 60);
        const hours = Math.floor(minutes / 60);
        if (hours >= 48) return fill(words.days, Math.floor(hours / 24));
        if (hours >= 24) return fill(words.hours, hours);
        const parts = [];
        if (hours) parts.push(fill(words.hours, hours));
        if (minutes % 60) parts.push(fill(words.minutes, minutes % 60));
        return parts.join(" ");
    };

    const left = (seconds) => {
        if (seconds <= 0) return words.ended;
        return seconds < 60 ? words.soon : fill(words.left, span(seconds));
    };

    const warned = new Set();

    const warn = (clock, text) => {
        if (warned.has(clock)) return;
        warned.add(clock);
        const title = clock.closest(".pim-row, .pim-card")?.querySelector("h2, h3")?.textContent.trim();
        document.querySelector("#pim-live").textContent = [title, text].filter(Boolean).join(": ");
    };

    const tick = () => {
        for (const clock of document.querySelectorAll(".pim-countdown[data-ends]")) {
            const seconds = (Date.parse(clock.dataset.ends) - Date.now()) / 1000;
            const text = left(seconds);
            if (clock.textContent !== text) clock.textContent = text;
            const soon = seconds < 300;
            clock.classList.toggle("pim-countdown--soon", soon);
            if (soon && seconds > 0) warn(clock, text);
        }
    };

    if (document.querySelector(".pim-countdown")) {
        tick();
        setInterval(tick, 1000);
    }

    // --- filter of a list on the page ---

    for (const input of document.querySelectorAll("[data-filter-input]")) {
        const list = document.querySelector(input.dataset.filterInput);
        const empty = document.querySelector(`[data-filter-empty="${input.dataset.filterInput}"]`);
        input.addEventListener("input", () => {
            const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
            let found = 0;
            for (const item of list.querySelectorAll("[data-filter-item]")) {
                const text = item.textContent.toLowerCase();
                item.hidden = !wanted.every((word) => text.includes(word));
                found += !item.hidden;
            }
            if (empty) empty.hidden = found > 0;
        });
    }

    document.addEventListener("keydown", (event) => {
        const typing = event.target.closest("input, textarea, select, [contenteditable]");
        if (event.key === "/" && !typing && localStorage.getItem("pim-keys-off") === null && !event.ctrlKey && !event.metaKey && !event.altKey) {
            const box = document.querySelector("[data-filter-input], [data-search]");
            if (box) {
                event.preventDefault();
                box.focus();
            }
        }
        if (event.key === "Escape") closeMenu(true);
    });

    // --- keys: rows by the arrows, ticks by the space bar, "a" to go on, "?" for help ---

    const keys = document.querySelector("#pim-keys");
    const KEYS_OFF = "pim-keys-off";
    const keysWanted = () => localStorage.getItem(KEYS_OFF) === null;

    const rowsInSight = () => [...document.querySelectorAll("[data-filter-item]")].filter((row) => !row.hidden);

    const step = (by) => {
        const rows = rowsInSight();
        const here = rows.findIndex((row) => row.contains(document.activeElement));
        const row = rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + by, 0), rows.length - 1)];
        row?.querySelector("input[type=checkbox], a, button:enabled")?.focus();
        return Boolean(row);
    };

    const goOn = () => {
        const several = document.querySelector("#several");
        if (several && document.querySelector("input[form=several]:checked")) return several.requestSubmit();
        const row = document.activeElement.closest("[data-filter-item]") ?? rowsInSight()[0];
        row?.querySelector("a.pim-button:not(.pim-button--secondary, .pim-button--quiet)")?.click();
    };

    // A letter that a button of the row names presses it: keep, remove, don't know.
    const press = (key) => {
        const row = document.activeElement.closest("[data-filter-item]") ?? rowsInSight()[0];
        const button = row?.querySelector(`[data-key="${key}"]`);
        button?.click();
        return Boolean(button);
    };

    const acts = {
        ArrowDown: () => step(1),
        ArrowUp: () => step(-1),
        a: goOn,
        "?": () => keys?.showModal(),
    };

    document.addEventListener("keydown", (event) => {
        const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
        const searching = event.target.matches("[data-filter-input]") && event.key === "ArrowDown";
        const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
        if (!plain || (typing && !searching) || !keysWanted()) return;
        if (/^[kdru]$/.test(event.key) && press(event.key)) return event.preventDefault();
        if (!acts[event.key]) return;
        if (event.key.startsWith("Arrow") && !rowsInSight().length) return;
        event.preventDefault();
        acts[event.key]();
    });

    // Enter, or Escape, after the reason goes on to the row, where the letters say which answer is meant.
    for (const input of document.querySelectorAll("[data-then-keys]")) {
        input.addEventListener("keydown", (event) => {
            if (!["Enter", "Escape"].includes(event.key) || event.isComposing) return;
            event.preventDefault();
            input.closest("[data-filter-item]").focus();
        });
    }

    document.querySelector("[data-keys-open]")?.addEventListener("click", () => keys.showModal());
    const keysBox = document.querySelector("[data-keys-wanted]");
    if (keysBox) {
        keysBox.checked = keysWanted();
        keysBox.addEventListener("change", () => {
            if (keysBox.checked) localStorage.removeItem(KEYS_OFF);
            else localStorage.setItem(KEYS_OFF, "yes");
        });
    }

    // --- the person's menu ---

    const menu = document.querySelector(".pim-person");

    const closeMenu = (refocus) => {
        if (!menu?.open) return;
        menu.open = false;
        if (refocus) menu.querySelector("summary").focus();
    };

    document.addEventListener("click", (event) => {
        if (menu && !menu.contains(event.target)) closeMenu(false);
    });

    // --- one submit is enough ---

    const release = (button) => {
        button.removeAttribute("aria-busy");
        button.disabled = false;
    };

    document.addEventListener("submit", (event) => {
        const button = event.submitter;
        if (event.defaultPrevented || event.target.method !== "post" || !button) return;
        button.setAttribute("aria-busy", "true");
        // Later, because a disabled button's own name and value would not be sent.
        setTimeout(() => { button.disabled = true; });
        // An answer that is a file leaves the page as it is.
        setTimeout(release, 10_000, button);
    });

    // Pages come back from the browser's memory as they were left.
    window.addEventListener("pageshow", () => {
        document.querySelectorAll("[aria-busy]").forEach(release);
    });

    // --- copying ---

    const copied = (button) => {
        const before = button.textContent;
        button.textContent = words.copied;
        document.querySelector("#pim-live").textContent = words.copied;
        setTimeout(() => { button.textContent = before; }, 2000);
    };

    for (const button of document.querySelectorAll("[data-copy]")) {
        button.addEventListener("click", async () => {
            const source = document.querySelector(button.dataset.copy);
            const lines = [...source.querySelectorAll("code")].map((code) => code.textContent.trim());
            await navigator.clipboard.writeText(lines.length ? lines.join("\n") : source.textContent.trim());
            copied(button);
        });
    }

    // The number keys of a phone cannot type a recovery code.
    for (const button of document.querySelectorAll("[data-letters]")) {
        button.addEventListener("click", () => {
            const input = document.getElementById(button.dataset.letters);
            input.inputMode = "text";
            input.focus();
        });
    }

    for (const button of document.querySelectorAll("[data-print]")) {
        button.addEventListener("click", () => window.print());
    }

    // Browsers offer the clipboard only to pages from a trustworthy origin.
    for (const part of document.querySelectorAll("[data-js]")) {
        part.hidden = "copy" in part.dataset && !navigator.clipboard;
    }
}
