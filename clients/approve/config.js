// What an organisation fills in before it serves this page. Everything else stays as it was released:
// SHA256SUMS says what that is, and `./seal.sh` writes the sums of your own copy.

// The relying party of your passkeys: this page's domain, or one above it. Empty: this page's own.
export const rpId = '';

// Who approves here: what the enrolment page printed, an element each.
// {name: 'alice', key: '<66 hex digits>', id: '<credential id>'}
export const approvers = [];

// Who asks: the clients of your policy. A request stamped by another key is shown with that key.
// {name: 'ops-1', scheme: 'p256', key: '<66 hex digits>'}
export const clients = [];
