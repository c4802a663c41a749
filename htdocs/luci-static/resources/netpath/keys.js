// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require dom';
'require ui';
'require netpath.api as api';
'require netpath.parts as parts';
'require netpath.readings as readings';
'require netpath.setup as setup';
'require netpath.tools as tools';

/* A bond's keys, made on the router, and what its other end has to be told. The private key stays on the router. */

const TITLES = () => ({
	client: { uci: _('A server on OpenWrt: add to /etc/config/netpath'), toml: _('A server with config.toml: add to it'), start: _('A new server: what to do there') },
	server: { uci: _('A client on OpenWrt: add to /etc/config/netpath'), toml: _('A client with config.toml: add to it') }
});

class Dialog {
	constructor(bond, done) {
		this.bond = bond;
		this.done = done;
		this.problem = E('div', { 'aria-live': 'polite' });
		this.place = E('div', { 'data-part': 'keys' });
		this.show();
	}

	open() {
		const close = () => {
			document.removeEventListener('keydown', escape);
			ui.hideModal();
			this.asked?.focus?.();
		};
		const escape = event => event.key == 'Escape' && close();
		this.asked = document.activeElement;
		document.addEventListener('keydown', escape);
		const button = E('button', { 'type': 'button', 'class': 'btn cbi-button', 'data-action': 'close', 'click': close }, [ _('Close') ]);
		ui.showModal(_('Keys of %s').format(this.bond.name), [ this.problem, this.place, E('div', { 'class': 'right' }, [ button ]) ]);
		button.focus();
	}

	show() {
		const { key, role } = this.bond, server = role == 'server';
		dom.content(this.place, key ? [
			E('p', {}, [ _('Own public key:') ]),
			E('div', { 'class': 'np-copy' }, [ E('code', { 'data-key': 'public' }, [ key ]), ' ', tools.copyButton(() => key) ]),
			E('p', { 'class': 'np-hint' }, [ _('Others may see it. The private key stays on this machine.') ]),
			...setup.texts(this.bond).map(({ name, text }) => E('details', { 'data-setup': name, ...(name == (server ? 'uci' : 'start') ? { 'open': '' } : {}) }, [
				E('summary', {}, [ TITLES()[server ? 'server' : 'client'][name] ]),
				E('pre', { 'class': 'np-text' }, [ text ]), tools.copyButton(() => text)
			])),
			E('p', { 'class': 'np-hint' }, [ server
				? _('Then add the client here, with the public key that its own page shows. SERVER is the address of this machine; its UDP ports must be open.')
				: _('Then enter here the public key that the server shows, and its address. The UDP ports of the server must be open.') ]),
			this.bond.options.preshared_key || this.bond.options.preshared_key_file
				? E('p', { 'class': 'np-hint' }, [ _('There is a pre-shared key too: the other end needs the same one.') ]) : ''
		] : [
			E('p', {}, [ _('This bond has no keys that this page knows of. They are made on the router; keys that are there already stay.') ]),
			parts.writable() ? tools.button(_('Generate keys'), () => this.generate(), { kind: 'action', name: 'genkey' })
				: parts.notice('notice', _('Your access is read-only: who may write can generate keys.'))
		]);
	}

	async generate() {
		const reply = await api.bond_genkey({ name: this.bond.name }), key = readings.text(reply.public_key, 100);

		if (!key)
			return dom.content(this.problem, [ parts.notice('error', readings.text(reply.error) || _('The router gave no key.'), readings.text(reply.remedy)) ]);

		dom.content(this.problem, []);
		this.bond = { ...this.bond, key };
		this.done?.(key);
		return this.show();
	}
}

return baseclass.extend({
	/* Shows the dialog. bond: { name, role, key: public, or null, options: of its section }. done(key): after keys were made. */
	open(bond, done) {
		tools.style();
		new Dialog(bond, done).open();
	},

	/* A button that does. `bond` gives the bond. */
	button(bond, done) {
		return E('button', { 'type': 'button', 'class': 'btn cbi-button', 'data-action': 'keys', 'click': event => {
			event.preventDefault();
			this.open(bond(), done);
		} }, [ _('Keys and set-up text') ]);
	}
});
