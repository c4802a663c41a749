// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require form';
'require uci';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.schema as schema';

const TABS = () => ({
	general: [ [ 'enabled', _('Enabled') ], [ 'loglevel', _('Log level') ], [ 'logging', _('Rules may log') ] ],
	dns: [ [ 'dns_failover', _('DNS failover') ], [ 'dnsmasq_dir', _('Directory of dnsmasq') ],
		[ 'dnsmasq_restart', _('Restart of dnsmasq') ] ],
	kernel: [ [ 'mark_mask', _('Mark mask') ], [ 'nft_table', _('nft table') ],
		[ 'rule_priority', _('First ip rule priority') ], [ 'rt_table_lookup', _('Routing tables that win') ] ]
});

return view.extend({
	load() {
		return Promise.all([ api.status(), fields.problems(), fields.load() ]);
	},

	render([ status, problems ]) {
		fields.style();

		const m = new form.Map(fields.CONFIG, _('Settings'), schema.sections.globals.help);
		const sid = fields.names('globals')[0] ?? 'globals';
		const s = m.section(form.NamedSection, sid, 'globals');

		/* Without the section there is a button that makes it. */
		s.addremove = uci.get(fields.CONFIG, sid) == null;
		s.tab('general', _('General'));
		s.tab('dns', _('DNS'));
		s.tab('kernel', _('Beside other programs'), _('What NetPath takes of the kernel. Change it where another program uses the same.'));

		for (const [ tab, options ] of Object.entries(TABS()))
			for (const [ name, title ] of options)
				fields.add(s, 'globals', name, title, { tab, ...(name == 'enabled' ? { explicit: true, rmempty: false } : {}) });

		fields.rest(s, 'globals', 'general');

		const notices = E('div', {}, [ ...fields.head(status), ...fields.otherNotes(problems),
			...fields.notes(problems, 'globals', sid) ]);

		return fields.page(notices, m.render());
	}
});
