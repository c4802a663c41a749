// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require fs';
'require ui';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.parts as parts';

const SCRIPT = '/etc/netpath.user';
const NOT_FOUND = 'NotFoundError';

const ACTIONS = () => [
	[ 'ifup', _('The uplink got its link and address, or was switched on by hand.') ],
	[ 'ifdown', _('It lost link or address, or was switched off by hand.') ],
	[ 'connecting', _('It answers again, but does not carry traffic yet.') ],
	[ 'connected', _('It carries traffic from now on.') ],
	[ 'disconnecting', _('It begins to fail, and still carries traffic.') ],
	[ 'disconnected', _('It carries no more traffic.') ]
];

const VARIABLES = () => [
	[ 'ACTION', _('What has happened, see above.') ],
	[ 'INTERFACE', _('Name of the uplink, as on the page Interfaces.') ],
	[ 'DEVICE', _('Its kernel device.') ]
];

const EXAMPLES = [
	'[ "$ACTION" = disconnected ] && logger -t netpath.user "$INTERFACE ($DEVICE) is down"',
	'case "$ACTION-$INTERFACE" in\n\tconnected-wan) logger -t netpath.user "wan is back" ;;\nesac'
];

function table(titles, rows) {
	return E('table', { 'class': 'table' }, [
		E('tr', { 'class': 'tr table-titles' }, titles.map(title => E('th', { 'class': 'th' }, [ title ]))),
		...rows.map(([ name, text ]) => E('tr', { 'class': 'tr' }, [
			E('td', { 'class': 'td', 'data-title': titles[0] }, [ E('code', {}, [ name ]) ]),
			E('td', { 'class': 'td', 'data-title': titles[1] }, [ text ])
		]))
	]);
}

return view.extend({
	load() {
		return Promise.all([
			fs.read(SCRIPT).then(text => ({ text })).catch(error => ({ text: '', error })), api.status()
		]);
	},

	async save(area, ev) {
		ev?.preventDefault();

		const text = area.value.replace(/\r\n/g, '\n').replace(/\s*$/, '\n');

		try {
			await fs.write(SCRIPT, text);
			area.value = text;
			ui.addNotification(null, E('p', {}, [ _('%s has been saved. It counts from the next change of an uplink on.').format(SCRIPT) ]), 'info');
		}
		catch (error) {
			ui.addNotification(null, E('p', {}, [ _('%s could not be saved: %s').format(SCRIPT, error.message) ]), 'error');
		}
	},

	render([ script, status ]) {
		fields.style();

		const unreadable = script.error && script.error.name != NOT_FOUND;
		const off = !parts.writable() || unreadable || null;
		const area = E('textarea', { 'id': 'np-script', 'class': 'np-script', 'rows': 20, 'spellcheck': 'false', 'wrap': 'off',
			'readonly': off, 'aria-label': SCRIPT }, [ script.text ]);

		return E('div', { 'class': 'np-page' }, [
			...fields.head(status),
			E('h2', {}, [ _('Notifications') ]),
			E('div', { 'class': 'cbi-map-descr' }, [
				_('A shell script of yours is run at each change of an uplink: to send a message, to restart a VPN, to write a log.'), ' ',
				_('It runs as root, beside the failover and never in its way.') ]),
			unreadable ? parts.notice('warning', _('%s cannot be read: %s').format(SCRIPT, script.error.message),
				_('Ask for the access right to NetPath\'s user script.')) : '',
			E('div', { 'class': 'cbi-section' }, [
				E('h3', {}, [ E('code', {}, [ SCRIPT ]) ]),
				area,
				E('div', { 'class': 'right', 'style': 'margin-top: .5em' }, [
					E('button', { 'class': 'btn cbi-button cbi-button-save important', 'type': 'button', 'disabled': off,
						'click': ui.createHandlerFn(this, 'save', area) }, [ _('Save') ])
				])
			]),
			E('div', { 'class': 'cbi-section' }, [
				E('h3', {}, [ _('Events') ]),
				table([ 'ACTION', _('When') ], ACTIONS()),
				E('h3', {}, [ _('Environment') ]),
				table([ _('Variable'), _('What it holds') ], VARIABLES()),
				E('p', {}, [ _('Runs follow one another; each is ended after 30 seconds. What it prints goes to the system log.'), ' ',
					_('Executables in /etc/netpath.d are run likewise.') ]),
				E('h3', {}, [ _('Examples') ]),
				...EXAMPLES.map(text => E('pre', {}, [ text ]))
			])
		]);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
