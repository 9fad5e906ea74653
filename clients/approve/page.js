// What both pages share: elements, messages, results to copy or save. Text is set as text, always.

export const $ = (id) => document.getElementById(id);

export function element(name, text, more = {}) {
    const e = Object.assign(document.createElement(name), more);
    e.textContent = text;
    return e;
}

// A problem, or nothing. The place has role="alert", so that screen readers say it.
export function problem(id, text) {
    $(id).textContent = text;
    $(id).hidden = !text;
}

export function wireResult(field, copyButton, saveButton, fileName) {
    $(copyButton).addEventListener('click', async () => {
        $(field).select();
        await navigator.clipboard.writeText($(field).value);
    });
    $(saveButton).addEventListener('click', () => {
        const url = URL.createObjectURL(new Blob([$(field).value + '\n'], {type: 'text/plain'}));
        element('a', '', {href: url, download: fileName()}).click();
        URL.revokeObjectURL(url);
    });
}

// Inside another page nobody knows what stands around this one. The parties refuse such approvals too.
export function framed() {
    if (window.top === window.self) {
        return false;
    }
    document.body.replaceChildren(element('p', 'This page does not work inside another one.'));
    return true;
}
