// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.schema as schema';

// Whether NetPath takes a value: the rules of netpath/config (kinds, values, times, build, check) with the schema's own
// patterns and tables. Nothing here knows the browser; tests hold it against the Python side.

const patterns = schema.patterns;
const words = schema.words;
// What Python takes for white space.
const BLANKS = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const EDGES = new RegExp(`^[${BLANKS}]+|[${BLANKS}]+$`, 'g');
const GAPS = new RegExp(`[${BLANKS}]+`);
const MOST_INTERFACES = 252, SPECIAL_MARKS = 4, FEWEST_BITS = 3, MOST_LOOKUPS = 98, FIRST_TABLE = 1000;
const LEAST_IPV6 = 1280;
const HOSTILE_HOST = /[^-a-z0-9._\u0080-\uffff]/;
const DIFFERENT_IN_IDNA_2008 = /[\u00df\u03c2\u200c\u200d]/;

class Fault extends Error {}

function refuse(message) {
	throw new Fault(message);
}

function strip(text) {
	return String(text).replace(EDGES, '');
}

function has(table, word) {
	return Object.prototype.hasOwnProperty.call(table, word);
}

function within(number, range, message) {
	if (number < range[0] || number > range[1])
		refuse(message || _('must be between %s and %s').format(range[0], range[1]));

	return number;
}

function whole(text, range) {
	if (!/^[0-9]{1,10}$/.test(text))
		refuse(_('must be a whole number between %d and %d').format(range[0], range[1]));

	return within(+text, range);
}

// 200ms, 5s, 24h: the shortest exact spelling.
function showDuration(seconds) {
	if (!seconds)
		return '0';

	for (const [ unit, size ] of [ [ 'h', 3600 ], [ 's', 1 ] ])
		if (seconds % size == 0)
			return `${seconds / size}${unit}`;

	return `${Math.round(seconds * 1e6) / 1e3}ms`;
}

function showSize(bytes) {
	for (const unit of [ 't', 'g', 'm', 'k' ])
		if (bytes % words.bytes_in[unit] == 0)
			return `${bytes / words.bytes_in[unit]}${unit == 'k' ? 'k' : unit.toUpperCase()}`;

	return String(bytes);
}

function duration(text, range) {
	const found = patterns.duration.exec(text);
	const allowed = _('must be between %s and %s').format(showDuration(range[0]), showDuration(range[1]));

	if (!found)
		refuse(`${_('must be seconds, or a number with ms, s, m or h')}; ${allowed}`);

	return within(+(parseFloat(found[1]) * words.seconds_in[found[2] || 's']).toFixed(6), range, allowed);
}

function wholeSeconds(text, range) {
	const seconds = duration(text, range);

	return Number.isInteger(seconds) ? seconds : refuse(_('must be whole seconds'));
}

// Halves to the even neighbour, as Python rounds.
function roundEven(number) {
	const rounded = Math.round(number);

	return (rounded - number == 0.5 && rounded % 2) ? rounded - 1 : rounded;
}

function size(text, range) {
	const found = patterns.size.exec(text);

	if (!found)
		refuse(_('must be a number of bytes, like 500M or 10G'));

	return within(roundEven(parseFloat(found[1]) * words.bytes_in[(found[2] || '').toLowerCase()]), range,
		_('must be between %s and %s').format(showSize(range[0]), showSize(range[1])));
}

function number(text, option) {
	const digits = (option.unit && text.endsWith(option.unit)) ? text.slice(0, -option.unit.length).replace(EDGES, '') : text;

	if (!patterns.number.test(digits))
		refuse(_('must be a number'));

	return within(parseFloat(digits), option.range);
}

function bool(text) {
	const word = text.toLowerCase();

	if (words.true.includes(word))
		return true;

	return words.false.includes(word) ? false : refuse(_('must be yes or no'));
}

function choice(text, option) {
	const word = text.toLowerCase();
	const found = (option.spellings && has(option.spellings, word)) ? option.spellings[word] : word;

	return option.choices.includes(found) ? found : refuse(_('must be one of: %s').format(option.choices.join(', ')));
}

function shaped(pattern, message) {
	return text => pattern.test(text) ? text : refuse(message());
}

// The 32 or 128 bits of a plain address and its family, as inet_pton takes it; null when it is none.
function address(text) {
	return text.includes(':') ? address6(text) : address4(text);
}

function address4(text) {
	const parts = text.split('.');

	if (parts.length != 4 || !parts.every(part => /^(0|[1-9][0-9]{0,2})$/.test(part) && +part < 256))
		return null;

	return { family: 'ipv4', bits: parts.reduce((bits, part) => bits << 8n | BigInt(part), 0n) };
}

function address6(text) {
	const halves = text.split('::');

	if (halves.length > 2)
		return null;

	const groups = halves.map(half => half == '' ? [] : half.split(':'));
	const last = groups[groups.length - 1];

	if (last.length && last[last.length - 1].includes('.')) {
		const tail = address4(last.pop());

		if (!tail)
			return null;

		last.push((tail.bits >> 16n).toString(16), (tail.bits & 0xffffn).toString(16));
	}

	const written = groups.flat();

	if (!written.every(group => /^[0-9A-Fa-f]{1,4}$/.test(group)))
		return null;

	if (halves.length == 2 ? written.length > 7 : written.length != 8)
		return null;

	const zeros = Array(8 - written.length).fill('0');
	const all = halves.length == 2 ? [ ...groups[0], ...zeros, ...groups[1] ] : written;

	return { family: 'ipv6', bits: all.reduce((bits, group) => bits << 16n | BigInt(`0x${group}`), 0n) };
}

function plainAddress(text) {
	return address(text) ? text : refuse(_('must be an IP address'));
}

function resolver(text) {
	const found = address(plainAddress(text));
	const top = found.family == 'ipv4' ? Number(found.bits >> 16n) : Number(found.bits >> 112n);
	const near = found.family == 'ipv4'
		? top < 0x100 || top >= 0xe000 || top >> 8 == 127 || top == 0xa9fe
		: found.bits <= 1n || top >> 6 == 0x3fa || top >> 8 == 0xff;

	return near ? refuse(_('no DNS server of an uplink has such an address')) : text;
}

function network(text) {
	const slash = text.indexOf('/');
	const base = address(slash < 0 ? text : text.slice(0, slash));

	if (!base)
		refuse(_('must be an address or a network, like 192.0.2.0/24'));

	const bits = base.family == 'ipv4' ? 32 : 128;
	const full = (1n << BigInt(bits)) - 1n;
	let mask = full;

	if (slash >= 0) {
		const tail = text.slice(slash + 1);
		const given = address(tail);

		if (given && given.family == base.family)
			mask = given.bits;
		else if (/^[0-9]{1,3}$/.test(tail) && +tail <= bits)
			mask = full ^ (full >> BigInt(tail));
		else
			refuse(_('the part after / must be 0 to %d, or a mask').format(bits));
	}

	return { family: base.family, mask: mask };
}

/* ADDRESS/LENGTH of IPv6 that routers forward. */
function prefix6(text, range) {
	const [ , base, length ] = /^([^/]*)\/([0-9]{1,3})$/.exec(text) ?? [];
	const found = address(base ?? '');

	if (found?.family != 'ipv6')
		refuse(_('must be an IPv6 prefix like 2001:db8:0:100::/56'));

	within(+length, range);

	const top = Number(found.bits >> 112n);

	return !(found.bits >> 96n) || top >> 6 == 0x3fa || top >> 8 == 0xff
		? refuse(_('must be a prefix of addresses that are routed')) : text;
}

function domain(text) {
	let name = text.replace(/^\*\./, '').replace(/^\.+|\.+$/g, '').toLowerCase();

	if (address(name))
		refuse(_('must be a domain; write addresses as destination addresses of a rule of its own'));

	if (/[\u0080-\uffff]/.test(name)) {
		if (DIFFERENT_IN_IDNA_2008.test(name) || HOSTILE_HOST.test(name))
			refuse(_('must be written in its ASCII form, which begins with xn--'));

		try {
			name = new URL(`http://${name}/`).hostname;
		}
		catch {
			refuse(_('must be written in its ASCII form, which begins with xn--'));
		}
	}

	return patterns.domain.test(name) ? name : refuse(_('must be a domain, like example.com'));
}

function range(text, parse) {
	const separator = text.includes('-') ? '-' : ':';
	const at = text.indexOf(separator);
	const low = parse(at < 0 ? text : text.slice(0, at), separator, '0');
	const high = at < 0 ? low : parse(text.slice(at + 1), separator, '65535');

	return low <= high ? [ low, high ] : refuse(_('the range runs backwards'));
}

function ports(text) {
	return range(text, (word, separator, open) =>
		whole(word == '' && separator == ':' && text.includes(':') ? open : word, [ 0, 65535 ]));
}

function codePoints(text) {
	return range(text, word =>
		has(words.dscp, word.toLowerCase()) ? words.dscp[word.toLowerCase()] : whole(word, [ 0, 63 ]));
}

function protocol(text) {
	const word = text.toLowerCase();

	if ([ 'all', 'any', '0' ].includes(word))
		return [ 0, 255 ];

	const found = has(words.protocols, word) ? words.protocols[word] : (/^[0-9]{1,3}$/.test(word) ? +word : 256);

	return found < 256 ? [ found, found ] : refuse(_('must be all, a number up to 255, or one of: %s')
		.format(Object.keys(words.protocols).join(', ')));
}

function nftTable(text) {
	if (!patterns.identifier.test(text) || words.nft_keywords.includes(text))
		refuse(_('must be a name that nft takes, of letters, digits and _'));

	return words.foreign_tables.includes(text) ? refuse(_('this table belongs to another program')) : text;
}

function setName(text) {
	if (!patterns.set_name.test(text) || words.nft_keywords.includes(text))
		refuse(_('must be a name that nft takes, of letters, digits, _, - and .'));

	return /^(st_|dom_)/.test(text) ? refuse(_('names with st_ and dom_ are kept for NetPath itself')) : text;
}

function mask(text) {
	const found = /^(0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,10})$/.test(text) ? (/^0[xX]/.test(text) ? parseInt(text, 16) : +text) : 0;

	return found > 0 && found <= 0xffffffff ? found : refuse(_('must be a mask like 0x3F00'));
}

function routingTable(text) {
	const word = text.toLowerCase();

	return has(words.routing_tables, word) ? words.routing_tables[word] : whole(text, [ 1, 0xffffffff ]);
}

function timeWindow(text) {
	return patterns.window.test(text) ? text : refuse(_('must look like 08:00-18:00, or past midnight 22:00-06:00'));
}

function weekdays(text) {
	const at = text.indexOf('-');
	const days = (at < 0 ? [ text ] : [ text.slice(0, at), text.slice(at + 1) ]).map(day => day.toLowerCase());

	return days.every(day => words.weekdays.includes(day)) ? text : refuse(_('must be mon to sun, or a range like mon-fri'));
}

function device(text) {
	return text.length <= schema.max_device && ![ '.', '..' ].includes(text) && patterns.device.test(text)
		? text : refuse(_('must be a device of at most %d characters, like eth0').format(schema.max_device));
}

function ingress(text) {
	return ![ '.', '..' ].includes(text) && patterns.device.test(text)
		? text : refuse(_('must be a device or a network interface, like br-lan or lan'));
}

function mac(text) {
	return patterns.mac.test(text.toLowerCase())
		? text.toLowerCase().replace(/-/g, ':') : refuse(_('must be a MAC address like 00:00:5e:00:53:01'));
}

function directory(text) {
	return text == 'auto' || patterns.directory.test(text)
		? text : refuse(_('must be auto, or an absolute path like /etc/dnsmasq.d'));
}

// Printable in Python's sense: of the separators only the space.
function plainText(text) {
	if (!/^(?: |[^\p{C}\p{Z}])*$/u.test(text))
		refuse(_('must not have control characters'));

	return [ ...text ].length <= schema.longest.text ? text : refuse(_('must have at most %d characters').format(schema.longest.text));
}

// An address of a service; `choices` are the schemes that it may have.
function serviceUrl(text, option) {
	const found = patterns.service_url.exec(text);

	if (/^[A-Za-z]+:\/\/[^/?#]*@/.test(text))
		refuse(_('must not hold a user name or password: there are options for them'));

	if (!found || text.length > schema.longest.url)
		refuse(_('must be an address like %s').format(`${option.choices[0]}://192.0.2.1/`));

	if (!option.choices.includes(found.groups.scheme))
		refuse(_('must begin with one of: %s').format(option.choices.map(scheme => `${scheme}://`).join(', ')));

	if (found.groups.host.startsWith('[') && !address(found.groups.host.slice(1, -1)))
		refuse(_('must have an IPv6 address between the brackets'));

	if (found.groups.port)
		within(+found.groups.port, [ 1, 65535 ]);

	return text;
}

function host(text) {
	return address(text) || patterns.hostname.test(text) ? text : refuse(_('must be a host name or an address'));
}

// ADDRESS or ADDRESS/LENGTH.
function prefix(text) {
	const { family, mask } = network(text);
	const gap = ((1n << (family == 'ipv4' ? 32n : 128n)) - 1n) ^ mask;

	return gap & (gap + 1n) ? refuse(_('must not have a mask with gaps')) : text;
}

// Bytes a second of 50mbit or 6MB/s.
function rate(text) {
	const found = patterns.rate.exec(text);

	if (!found)
		refuse(_('must be a rate: bits like 50mbit, or bytes like 6MB/s'));

	const number = parseFloat(found[1]) * words.thousands[found[2].toLowerCase()];

	return within(words.units_of_bytes.includes(found[3]) ? number : number / 8, schema.limits.rate, _('must be between %s and %s').format('8kbit', '1000gbit'));
}

function weight(text) {
	return /^([01](\.[0-9]{1,6})?|\.[0-9]{1,6})$/.test(text) && parseFloat(text) <= 1
		? parseFloat(text) : refuse(_('must be a number from 0 to 1, like 0.7'));
}

// A host, with a port or without: [ADDRESS]:PORT for IPv6.
function server(text) {
	if (address(text))
		return text;

	const found = patterns.server.exec(text);

	if (!found)
		return host(/^\[[^[\]]*\]$/.test(text) ? text.slice(1, -1) : text);

	const named = found.groups.host.startsWith('[') ? found.groups.host.slice(1, -1) : found.groups.host;

	if (named != found.groups.host && address(named)?.family != 'ipv6')
		refuse(_('must have an IPv6 address between the brackets'));

	host(named);
	whole(found.groups.port, [ 1, 65535 ]);

	return text;
}

// ADDRESS or ADDRESS/LENGTH that a machine can have: { family, length or null }.
function innerAddress(text) {
	const [ , base, , length ] = /^([^/]*)(\/(.*))?$/s.exec(text);
	const found = address(base);

	if (!found)
		refuse(_('must be an address like 10.99.0.2/24'));

	const bits = found.family == 'ipv4' ? 32 : 128, top = Number(found.bits >> BigInt(bits - 8));
	const none = found.family == 'ipv4' ? top == 0 || top == 127 || top >= 224 : found.bits <= 1n || top == 0xff;

	if (none)
		refuse(_('no machine can have this address'));

	if (length !== undefined && !(/^[0-9]{1,3}$/.test(length) && +length >= 1 && +length <= bits))
		refuse(_('the part after / must be 1 to %d').format(bits));

	return { family: found.family, length: length ?? null };
}

const topic = shaped(patterns.topic, () => _('must be the beginning of a topic: letters, digits, _, . and -, with / in between'));
const mailbox = shaped(patterns.mailbox, () => _('must be a mail address like router@example.com'));
const name = shaped(patterns.name, () => _('must be a name of letters, digits, _, . and -'));

// Kind of the schema -> what reads one item of it. Takes the text and the option; throws Fault.
const read = {
	bool, choice, number, address: plainAddress, mask, name, device, directory, domains: domain, protocols: protocol,
	nft_table: nftTable, set_name: setName, resolvers: resolver, networks: network, ports, dscp: codePoints,
	tables: routingTable, events: choice, windows: timeWindow, weekdays, ingress, macs: mac, names: name,
	text: plainText, url: serviceUrl, host, topic, mailbox, mailboxes: mailbox, clients: prefix, choices: choice,
	topic_or_none: text => text == 'none' ? '' : topic(text),
	own_addresses: text => address(plainAddress(text)),
	interfaces: ingress,
	file: shaped(patterns.file, () => _('must be an absolute path like /etc/ssl/certs/ca.pem')),
	prefixes: (text, option) => prefix6(text, option.range),
	whole: (text, option) => whole(text, option.range),
	duration: (text, option) => duration(text, option.range),
	whole_seconds: (text, option) => wholeSeconds(text, option.range),
	size: (text, option) => size(text, option.range),
	key: shaped(patterns.key, () => _('must be a key: 44 characters, with a = at the end')),
	rate, weight, servers: server, inner_addresses: innerAddress, behind: prefix, link: ingress,
	hostname: shaped(patterns.hostname, () => _('must be a host name like example.com')),
	targets: shaped(patterns.target, () => _('must be an address, or a name or URL without odd characters'))
};

function merged(ranges) {
	const joined = [];

	for (const [ low, high ] of ranges.slice().sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
		const last = joined[joined.length - 1];

		if (last && low <= last[1] + 1)
			last[1] = Math.max(last[1], high);
		else
			joined.push([ low, high ]);
	}

	return joined;
}

function combineRanges(top) {
	return (plain, negated) => {
		const wanted = plain.length ? merged(plain) : [ [ 0, top ] ];
		const excluded = merged(negated);

		if (wanted.every(([ low, high ]) => excluded.some(([ a, b ]) => a <= low && high <= b)))
			refuse(_('excludes all that it includes, so it matches nothing'));
	};
}

function combineNames(plain, negated) {
	if (plain.length && plain.every(item => negated.includes(item)))
		refuse(_('excludes all that it includes, so it matches nothing'));
}

// What can be wrong with a list whose items are all right.
const combine = {
	ports: combineRanges(65535), protocols: combineRanges(255), dscp: combineRanges(63),
	ingress: combineNames, macs: combineNames,
	networks: (plain, negated) => negated.some(item => item.mask == 0n)
		&& refuse(_('excludes every address, so it matches nothing')),
	events: items => items.includes('never') && !items.includes('always')
		&& schema.conntrack_events.some(event => items.includes(event))
		&& refuse(_('choose either never or events'))
};

// The items of one written text.
function split(option, text) {
	if (!option.list)
		return [ strip(text) ];

	if (option.commas)
		text = text.replace(/,/g, ' ');

	if (option.negatable)
		text = text.replace(new RegExp(`![${BLANKS}]+`, 'g'), '!');

	return text.split(GAPS).filter(item => item != '');
}

function readItem(option, text) {
	const excluded = option.negatable && text.startsWith('!');

	return { excluded, value: read[option.kind](excluded ? text.slice(1) : text, option) };
}

function reading(what) {
	try {
		return { value: what() };
	}
	catch (fault) {
		if (!(fault instanceof Fault))
			throw fault;

		return { fault: fault.message };
	}
}

// The typed value of an option: { plain, negated } of a list. Throws Fault.
function parse(option, written) {
	const texts = Array.isArray(written) ? written : [ written ];

	if (!option.list) {
		if (texts.length > 1)
			refuse(_('takes one value'));

		return read[option.kind](strip(texts[0]), option);
	}

	const items = texts.flatMap(text => split(option, text)).map(text => readItem(option, text));
	const plain = items.filter(item => !item.excluded).map(item => item.value);
	const negated = items.filter(item => item.excluded).map(item => item.value);

	if (combine[option.kind])
		combine[option.kind](plain, negated);

	return { plain, negated };
}

function hostAndPort(text) {
	if (text.startsWith('[')) {
		const end = text.indexOf(']');
		const rest = end < 0 ? '' : text.slice(end + 1);

		return [ end < 0 ? text.slice(1) : text.slice(1, end), rest == '' ? null : rest.replace(/^:/, '') ];
	}

	return text.split(':').length == 2 ? text.split(':') : [ text, null ];
}

// Why `method` cannot probe `text` over `family`; null when it can.
function targetFault(text, method, family) {
	let host = text, port = null;

	if (method == 'httping') {
		const url = patterns.url.exec(text);

		if (url)
			[ host, port ] = [ url.groups.host.replace(/^[[\]]+|[[\]]+$/g, ''), url.groups.port ?? null ];
	}
	else if (method == 'tcp') {
		[ host, port ] = hostAndPort(text);
	}

	if (port != null && !(/^[0-9]+$/.test(port) && +port >= 1 && +port <= 65535))
		return _('%s: its port must be 1 to 65535').format(text);

	const found = address(host);

	if (found)
		return found.family == family ? null : _('%s: the interface is for %s').format(text, family);

	if (method != 'arping' && patterns.hostname.test(host))
		return null;

	return _('%s: the method %s cannot ask that').format(text, method);
}

function maskFault(value, interfaces) {
	const bits = BigInt(value), lowest = bits & -bits;
	const width = value.toString(2).replace(/0/g, '').length;

	if ((bits + lowest) & bits)
		return _('the bits must be one run');

	if (width < FEWEST_BITS)
		return _('must have at least %d bits').format(FEWEST_BITS);

	return capacity(width) < interfaces
		? _('holds %d interfaces, there are %d').format(capacity(width), interfaces) : null;
}

function capacity(width) {
	return Math.min(2 ** width - SPECIAL_MARKS, MOST_INTERFACES);
}

// A key is in the section or in a file.
function bothKeys(option, fault, set) {
	if (set(option) && set(`${option}_file`))
		fault(`${option}_file`, _('there is a key in the configuration too; keep one of the two'));
}

// Whether the section says which bond it belongs to.
function ofBond(role, value, fault, known) {
	const named = value('bond'), fitting = Object.keys(known.bonds).filter(bond => known.bonds[bond] == role);

	if (named != null && !has(known.bonds, named))
		fault('bond', _('there is no bond %s').format(named));
	else if (named != null && !fitting.includes(named))
		fault('bond', role == 'client' ? _('%s is a server: links belong to a client').format(named) : _('%s is a client: its peer is its server').format(named));
	else if (named == null && !value.broken('bond') && fitting.length != 1)
		fault('bond', fitting.length ? _('must be given, as there are several bonds') : _('add a bond first that it can belong to'));
}

// Whether the protocols of a rule have the ports that it names.
function withPorts(value, fault) {
	const protocols = value('proto')?.plain ?? [ [ 0, 255 ] ];
	const ported = value('proto') !== undefined && protocols.length
		&& protocols.every(([ low, high ]) => low == high && words.with_ports.includes(low));

	for (const option of [ 'src_port', 'dest_port' ]) {
		const given = value(option);
		const limits = given && (given.negated.length || (given.plain.length && !allPorts(given.plain)));

		if (limits && !ported && !value.broken('proto'))
			fault(option, _('ports need protocols that have them: tcp, udp'));
	}
}

// Whether its addresses can be those of one packet; `family`: what is written, or any.
function oneFamily(value, fault, family) {
	let possible = family == 'any' ? [ 'ipv4', 'ipv6' ] : [ family ];

	for (const option of [ 'src_ip', 'dest_ip' ]) {
		const given = value(option) ?? { plain: [], negated: [] };
		const written = [ ...given.plain, ...given.negated ].map(match => match.family);
		const matched = (given.plain.length ? given.plain : given.negated).map(match => match.family);
		const left = possible.filter(each => matched.includes(each));

		if (family != 'any' && written.some(each => each != family))
			fault(option, _('the rule is for %s only').format(family));
		else if (matched.length && !left.length)
			fault(option, _('source and destination are of different families'));
		else if (matched.length)
			possible = left;
	}
}

// What is wrong between the options of a section. `value(name)`: parsed, null where not set or broken.
const between = {
	globals(value, fault, known) {
		const given = value('mark_mask') ?? 0x3f00;
		const wrong = maskFault(given, known.interfaces.length);
		const room = capacity(given.toString(2).replace(/0/g, '').length);
		const tables = [ ...new Set(value('rt_table_lookup')?.plain ?? []) ];

		if (wrong)
			fault('mark_mask', wrong);

		for (const table of tables)
			if (table > FIRST_TABLE && table <= FIRST_TABLE + room)
				fault('rt_table_lookup', _('%d is one of NetPath\'s own tables').format(table));

		if (tables.length > MOST_LOOKUPS)
			fault('rt_table_lookup', _('at most %d tables').format(MOST_LOOKUPS));
	},

	interface(value, fault) {
		const family = value('family') ?? 'ipv4', method = value('track_method') ?? 'ping';
		const gateway = value('gateway');

		for (const option of family == 'ipv6' ? [] : [ 'nat6', 'nat6_prefix', 'nat6_from' ])
			if (![ null, 'off' ].includes(value(option)))
				fault(option, _('the interface is for %s').format(family));

		if (gateway && address(gateway).family != family)
			fault('gateway', _('must be an %s address').format(family));

		for (const server of value('dns')?.plain ?? [])
			if (address(server).family != family)
				fault('dns', _('%s: must be an %s address').format(server, family));

		for (const target of method == 'none' ? [] : value('track_targets')?.plain ?? []) {
			const wrong = targetFault(target, method, family);

			if (wrong)
				fault('track_targets', wrong);
		}
	},

	member(value, fault, known) {
		const uplink = value('interface');

		if (uplink && !known.interfaces.includes(uplink))
			fault('interface', _('there is no interface %s').format(uplink));
	},

	policy(value, fault, known) {
		for (const member of value('members')?.plain ?? [])
			if (!known.members.includes(member))
				fault('members', _('there is no member %s').format(member));
	},

	monitor(value, fault, known) {
		for (const option of [ 'listen_address', 'metrics_address' ]) {
			const given = value(option)?.plain ?? [];
			const every = given.filter(each => each.bits == 0n);
			const others = family => given.filter(each => (family == 'ipv6' || each.family == 'ipv4')
				&& !(each.bits == 0n && each.family == family));

			if (every.some(each => others(each.family).length))
				fault(option, _('has an address that stands for all, and others beside it'));
		}

		if (value('mqtt_host') && value('mqtt_password') && !value('mqtt_username'))
			fault('mqtt_password', _('a password needs a user name'));

		const sources = { ...known.sources };

		for (const [ option, called, type ] of [ [ 'clash_url', 'clash', 'clash' ], [ 'luci_url', 'luci', 'openwrt' ] ])
			if (value(option)) {
				if (has(known.sources, called))
					fault(option, _('there is a source named %s already').format(called));

				sources[called] = type;
			}

		if ((value('local') ?? true) && !Object.values(sources).includes('local'))
			sources.local ??= 'local';

		for (const source of value('wan')?.plain ?? [])
			if (!has(sources, source))
				fault('wan', _('there is no source %s').format(source));
			else if (sources[source] == 'clash')
				fault('wan', _('%s counts no WAN: it is of type clash').format(source));
	},

	source(value, fault, _known, set) {
		const type = value('type'), url = value('url');
		const schemes = { clash: [ 'ws', 'wss' ], openwrt: [ 'http', 'https' ] }[type];

		if (schemes && !set('url'))
			fault('url', _('must be given'));
		else if (schemes && url && !schemes.includes(url.split(':')[0]))
			fault('url', _('must begin with one of: %s').format(schemes.map(scheme => `${scheme}://`).join(', ')));

		if (type == 'clash' && (value('timeout') ?? usual('source', 'timeout')) <= (value('interval') ?? usual('source', 'interval')))
			fault('timeout', _('must be longer than the interval'));
	},

	notify(value, fault, _known, set) {
		const needed = { webhook: [ 'url' ], email: [ 'server', 'from', 'to' ] }[value('type')] ?? [];

		for (const option of needed)
			if (!set(option))
				fault(option, _('must be given'));

		if (value('type') == 'email' && value('password') && !value('username'))
			fault('password', _('a password needs a user name'));
	},

	bond(value, fault, _known, set) {
		const role = value('role'), inner = value('address')?.plain ?? [], mtu = value('mtu');

		for (const option of role == 'client' ? [ 'server', 'server_key' ] : [])
			if (!set(option))
				fault(option, _('must be given'));

		if ((value('port') ?? usual('bond', 'port')) + (value('ports') ?? usual('bond', 'ports')) - 1 > 65535)
			fault('port', _('the last of its ports is above 65535'));

		if (mtu != null && mtu < LEAST_IPV6 && inner.some(each => each.family == 'ipv6'))
			fault('mtu', _('IPv6 needs at least %d').format(LEAST_IPV6));

		if (inner.some(each => each.length == null))
			fault('address', _('must have a length, like 10.99.0.1/24'));

		bothKeys('private_key', fault, set);
		bothKeys('preshared_key', fault, set);
	},

	bond_link(value, fault, known, set) {
		ofBond('client', value, fault, known);

		if (set('interface') && set('source'))
			fault('source', _('there is an interface too; keep one of the two'));
		else if (!set('interface') && !set('source'))
			fault('interface', _('an interface or a source address must be given'));
	},

	bond_peer(value, fault, known, set) {
		ofBond('server', value, fault, known);
		bothKeys('preshared_key', fault, set);
	},

	bond_rule(value, fault, known) {
		for (const bond of value('bond')?.plain ?? [])
			if (!has(known.bonds, bond))
				fault('bond', _('there is no bond %s').format(bond));

		for (const peer of value('peer')?.plain ?? [])
			if (!known.peers.includes(peer))
				fault('peer', _('there is no client %s').format(peer));

		withPorts(value, fault);
		oneFamily(value, fault, 'any');
	},

	rule(value, fault, known, set) {
		const policy = value('policy');

		if (policy && !schema.special_policies.includes(policy) && !known.policies.includes(policy))
			fault('policy', _('there is no policy %s').format(policy));

		withPorts(value, fault);
		oneFamily(value, fault, value('family') ?? 'any');

		if (value('domain')?.plain.length)
			for (const option of [ 'dest_ip', 'nft_set' ])
				if (set(option))
					fault(option, _('domain names the destination already; write two rules'));
	}
};

// What an option is unless it is set.
function usual(kind, option) {
	return parse(schema.sections[kind].options[option], schema.sections[kind].options[option].default);
}

function allPorts(ranges) {
	const joined = merged(ranges);

	return joined.length == 1 && joined[0][0] == 0 && joined[0][1] == 65535;
}

function written(values, name) {
	const found = values[name];

	return found != null && found !== '' && !(Array.isArray(found) && !found.length);
}

return baseclass.extend({
	strip,
	showDuration,
	showSize,

	// Why one text is not a value of the option, or not an item of its list; null when it is.
	item(kind, name, text) {
		const option = schema.sections[kind].options[name];
		const faults = split(option, text).map(item => reading(() => readItem(option, item)).fault);

		return faults.find(fault => fault) ?? null;
	},

	// Everything that NetPath would refuse in a section: [ { option, message } ]. `values` has texts and lists of texts
	// under the schema's names; `known` the names of all interfaces, members and policies.
	section(kind, values, known) {
		const options = schema.sections[kind].options;
		const faults = [], parsed = {}, broken = {};
		const fault = (option, message) => faults.push({ option, message });

		for (const name in options) {
			if (!written(values, name)) {
				if (options[name].required)
					fault(name, _('must be given'));

				continue;
			}

			const found = reading(() => parse(options[name], values[name]));

			if (found.fault != null) {
				fault(name, found.fault);
				broken[name] = true;
			}
			else {
				parsed[name] = found.value;
			}
		}

		const value = name => has(parsed, name) ? parsed[name] : null;

		value.broken = name => has(broken, name);
		between[kind](value, fault, known, name => written(values, name));

		return faults;
	},

	// Why no section of this kind can have the name; null when one can. `uci` knows fewer characters than NetPath.
	sectionName(kind, text, taken) {
		if (!/^[A-Za-z0-9_]{1,64}$/.test(text))
			return _('must be a name of letters, digits and _');

		if (taken.includes(text))
			return _('this name is taken');

		return kind == 'policy' && schema.special_policies.includes(text)
			? _('%s has a meaning of its own in rules').format(text) : null;
	},

	// The value of a single option in its usual spelling: '1' for yes, ping for nping-icmp.
	normal(kind, name, text) {
		const option = schema.sections[kind].options[name];
		const found = reading(() => parse(option, text));

		if (found.fault != null || ![ 'bool', 'choice' ].includes(option.kind))
			return text;

		return option.kind == 'bool' ? (found.value ? '1' : '0') : found.value;
	},

	// Whether the options that NetPath and mwan3 call differently all have mwan3's names: then an interface without
	// `enabled` is off. `sections` as uci.sections() returns them.
	speaksMwan3(sections) {
		let theirs = false, ours = false;

		for (const section of sections)
			for (const option of Object.values(schema.sections))
				for (const name in option.options)
					if (option.options[name].mwan3) {
						theirs = theirs || option.options[name].mwan3 in section;
						ours = ours || name in section;
					}

		return theirs && !ours;
	}
});
