"use strict";
if (window.PublicKeyCredential && navigator.credentials) {
    // WebAuthn speaks in bytes, forms in text: base64url between them.
    const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
    const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
        .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
    const known = (credentials) => credentials.map((each) => ({ ...each, id: bytes(each.id) }));

    const answerOf = ({ id, rawId, type, response }) => {
        const answer = { clientDataJSON: text(response.clientDataJSON) };
        for (const part of ["authenticatorData", "signature", "userHandle", "attestationObject"]) {
            if (response[part]) answer[part] = text(response[part]);
        }
        if (response.getTransports) answer.transports = response.getTransports();
        return JSON.stringify({ id, rawId: text(rawId), type, response: answer });
    };

    // Goes past what the browser demands of the fields: with a passkey no code is needed.
    const send = (form, answer) => {
        const input = form.querySelector("input[name=passkey]") ?? document.createElement("input");
        Object.assign(input, { type: "hidden", name: "passkey", value: answer });
        form.append(input);
        HTMLFormElement.prototype.submit.call(form);
    };

    // The page that checks the form says what the passkey is to sign; what is wrong with the form it says as always.
    const optionsFor = async (form) => {
        const fields = new FormData(form);
        fields.set("passkey", "ask");
        const response = await fetch(form.getAttribute("action") || location.href, { method: "POST", body: fields });
        if (response.headers.get("Content-Type")?.startsWith("application/json")) return response.json();
        if (response.redirected) location.assign(response.url);
        else send(form, "");
        return null;
    };

    const use = async (form) => {
        const options = await optionsFor(form);
        if (!options) return;
        const publicKey = {
            ...options,
            challenge: bytes(options.challenge),
            allowCredentials: known(options.allowCredentials),
        };
        send(form, answerOf(await navigator.credentials.get({ publicKey })));
    };

    const make = async (form) => {
        const options = JSON.parse(form.dataset.passkeyOptions);
        const publicKey = {
            ...options,
            challenge: bytes(options.challenge),
            user: { ...options.user, id: bytes(options.user.id) },
            excludeCredentials: known(options.excludeCredentials),
        };
        send(form, answerOf(await navigator.credentials.create({ publicKey })));
    };

    const attempt = async (act, form, button) => {
        const area = form.querySelector("[data-passkey-area]");
        const note = area.querySelector("[role=alert]");
        note.textContent = "";
        button.setAttribute("aria-busy", "true");
        button.disabled = true;
        try {
            await act(form);
        } catch (error) {
            note.textContent = error.name === "InvalidStateError" ? area.dataset.present : area.dataset.unused;
            button.removeAttribute("aria-busy");
            button.disabled = false;
        }
    };

    for (const notice of document.querySelectorAll("[data-passkey-missing]")) notice.hidden = true;

    for (const area of document.querySelectorAll("[data-passkey-area]")) {
        const form = area.closest("form");
        const button = area.querySelector("[data-passkey-button]");
        const act = form.dataset.passkeyOptions ? make : use;
        area.hidden = false;
        button?.addEventListener("click", () => attempt(act, form, button));
        // Where nothing but a passkey will do, the form's own button asks for it.
        if (!button) {
            form.addEventListener("submit", (event) => {
                event.preventDefault();
                attempt(act, form, event.submitter);
            });
        }
    }
}
