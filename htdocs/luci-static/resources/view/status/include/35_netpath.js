// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.api as api';
'require netpath.format as format';
'require netpath.parts as parts';

return baseclass.extend({
	title: _('NetPath'),

	/* Never rejects: replies with an error are replies. */
	load() {
		parts.style();
		return Promise.all([ api.status({ section: 'interfaces' }), api.metrics() ]);
	},

	/* Nothing at all for those who may not ask. */
	render([ status, metrics ]) {
		if (status.denied)
			return null;
		const names = Object.keys(status.interfaces ?? {});
		const cell = (title, children) => E('td', { 'class': 'td left', 'data-title': title }, children);
		const rows = names.map(name => {
			const row = status.interfaces[name], figures = metrics.interfaces?.[name] ?? {};
			return E('tr', { 'class': 'tr', 'data-interface': name }, [
				cell(_('Interface'), [ E('strong', {}, [ name ]) ]),
				cell(_('State'), [ parts.badge(row.status) ]),
				cell(_('Latency'), [ format.ms(figures.latency) ]),
				cell(_('Loss'), [ format.percent(figures.loss) ]),
				cell(_('Download'), [ format.rate(figures.rx_rate) ]),
				cell(_('Upload'), [ format.rate(figures.tx_rate) ])
			]);
		});
		return E('div', { 'class': 'np-widget' }, [
			parts.obstacle(status) ?? E([]),
			names.length ? E('table', { 'class': 'table' }, [
				E('tr', { 'class': 'tr table-titles' }, [ _('Interface'), _('State'), _('Latency'), _('Loss'), _('Download'), _('Upload') ]
					.map(title => E('th', { 'class': 'th left' }, [ title ]))),
				...rows
			]) : status.error ? E([]) : E('p', {}, [ _('No uplink is configured yet.') ]),
			E('a', { 'href': L.url('admin/network/netpath/overview') }, [ _('Overview of NetPath') ])
		]);
	}
});
