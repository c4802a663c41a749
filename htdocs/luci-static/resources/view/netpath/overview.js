// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require poll';
'require rpc';
'require view';

// What `ubus call netpath status` says, as it says it.
const callStatus = rpc.declare({ object: 'netpath', method: 'status' });

function show(status) {
	const interfaces = status.interfaces || {};
	const rows = Object.keys(interfaces).sort().map(name => E('tr', { 'class': 'tr' }, [
		E('td', { 'class': 'td' }, [ name ]),
		E('td', { 'class': 'td' }, [ String(interfaces[name].status) ]),
		E('td', { 'class': 'td' }, [ String(interfaces[name].device || '-') ]),
		E('td', { 'class': 'td' }, [ String(interfaces[name].reason || '') ])
	]));
	const problem = status.error || status.problem;
	return [
		E('h2', {}, [ _('NetPath') ]),
		problem ? E('div', { 'class': 'alert-message warning' }, [ String(problem) ]) : '',
		E('table', { 'class': 'table' }, [
			E('tr', { 'class': 'tr table-titles' },
				[ _('Interface'), _('Status'), _('Device'), _('Reason') ].map(title => E('th', { 'class': 'th' }, [ title ]))),
			...rows
		])
	];
}

return view.extend({
	load: () => L.resolveDefault(callStatus(), { error: _('No answer: the ubus object netpath is not there.') }),

	render: function(status) {
		const page = E('div', {}, show(status));
		poll.add(() => this.load().then(now => page.replaceChildren(...show(now))));
		return page;
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
