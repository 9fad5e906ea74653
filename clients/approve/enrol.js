// Enrolment: makes a passkey at this page's origin, and prints what the policy and config.js need.
import {rpId} from './config.js';
import {$, framed, problem, wireResult} from './page.js';
import {enrol} from './passkey.js';

async function make() {
    problem('enrol-problem', '');
    $('result-part').hidden = true;
    const name = $('name').value, rp = rpId || location.hostname;
    try {
        if (!/^[A-Za-z0-9._-]{1,63}$/.test(name)) {
            throw new Error('a name has 1 to 63 letters, digits, dots, dashes and underscores');
        }
        const {key, id} = await enrol(name, rp);
        $('policy').value = JSON.stringify(
            {name, scheme: 'webauthn', key, rp_id: rp, origins: [location.origin]});
        $('entry').value = JSON.stringify({name, key, id});
        $('result-part').hidden = false;
        $('result-heading').focus();
    } catch (e) {
        problem('enrol-problem', `No passkey was made: ${e.message}`);
    }
}

if (!framed()) {
    $('make').addEventListener('click', make);
    wireResult('policy', 'copy-policy', 'save-policy', () => `approver-${$('name').value}.json`);
    wireResult('entry', 'copy-entry', 'save-entry', () => `config-${$('name').value}.json`);
    document.documentElement.dataset.ready = 'yes';
}
