// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* What rules match by: option, title, and the tab of the form. */
const ALL = () => [
	[ 'family', _('Address family'), 'general' ], [ 'proto', _('Protocol'), 'general' ],
	[ 'src_iface', _('Incoming interface'), 'source' ], [ 'src_ip', _('Source address'), 'source' ],
	[ 'src_port', _('Source port'), 'source' ], [ 'src_mac', _('Source MAC address'), 'source' ],
	[ 'dest_ip', _('Destination address'), 'destination' ], [ 'dest_port', _('Destination port'), 'destination' ],
	[ 'domain', _('Domain'), 'destination' ], [ 'nft_set', _('nft set'), 'destination' ],
	[ 'dscp', _('DSCP'), 'general' ]
];

return baseclass.extend({
	all: ALL,

	/* Title of an option; of what is none, the word itself. */
	title(name) {
		return ALL().find(([ option ]) => option == name)?.[1] ?? String(name);
	}
});
