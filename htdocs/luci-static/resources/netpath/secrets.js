// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* Masks in a text what a stranger must not read. Pure. One value gets one stand-in throughout the text, so that the
 * text still tells which address belongs to which network. */

const MASK = '<masked>';

/* Last word of an option's name, or the whole name -> a secret. */
const SECRET = new RegExp('(?:^|[_.-])(?:pass|pwd|psk|pin|puk|auth|wep|sae|otp|seed|cookie|credentials?|keys?|phrase|bearer)[0-9]*$' +
	'|(?:password|passwd|passphrase|passcode|secret|token|apikey|key|psk|private|authorization)s?[0-9]*' +
	'(?:[_-](?:file|hash|base64|hex|data|value))?$', 'i');
/* ... -> who somebody is, or what a network of theirs is called. */
const PERSONAL = new RegExp('(?:^|[_.-])(?:e?ssid|user|login|account|identity|hostname|imei|imsi|iccid|msisdn|phone|subscriber)[0-9]*$' +
	'|(?:username|user_name|userid|identity|ssid|email)[0-9]*$', 'i');
/* Shorter values are not looked for elsewhere: they would be found everywhere. */
const LEAST = 4;

const QUOTED = `'[^'\\n]*'|"(?:[^"\\\\\\n]|\\\\.)*"`;
/* As a shell and UCI read it: 'a'\''b' is one word. */
const WORD = `(?:${QUOTED}|\\\\.|[^\\s'"\\\\])+(?=\\s|$)`;
const REST = '[^\\s][^\\n]*';
/* A name, and its value. What has no second quote or no quotes at all ends with the line: too much is better than half. */
const NAMED = [
	/* UCI, in a file or in a sentence about it. */
	new RegExp(`\\b((?:option|list)[ \\t]+['"]?([\\w.-]+)['"]?[ \\t]+)(${WORD}|${REST})`, 'gi'),
	/* uci show, shells, ini files, JSON, headers, URLs; several quoted ones are a list. */
	new RegExp(`(["']?(?<!\\w)(\\w[\\w.@\\[\\]-]{0,200})["']?[ \\t]{0,99}(?:=|:(?!//))[ \\t]*)` +
		`((?:${QUOTED}|\\\\.)(?:[ \\t]*(?:${QUOTED}|\\\\.))*(?![^\\s,;:.)}\\]])|${REST})`, 'g'),
	new RegExp(`(--?([A-Za-z][\\w-]{0,200})[ \\t]+)(${WORD}|${REST})`, 'g'),
	/* Only words that mean nothing else. */
	new RegExp(`(\\b(password|passwd|passphrase|psk|secret)[ \\t]+(?:is[ \\t]+)?)(${WORD}|${REST})`, 'gi')
];
const PEM = /-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g;
/* The form of WireGuard's keys, and everything as long. */
const BASE64 = /(?<![\w+/])(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])(?=[\w+/]*[0-9+/])[A-Za-z0-9+/]{42,}={0,2}(?![\w+/=])/g;
const HEX = /(?<![\w.:-])(?:0x)?[0-9a-f]{32,}(?![\w:-])/gi;
const USERINFO = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/'"]+@/gi;
const EMAIL = /(?<![\w.%+-])[\w.%+-]+@[A-Za-z0-9][\w-]*(?:\.[\w-]+)+/g;

const MAC = /(?<![0-9a-f:.-])(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})(?![0-9a-f:-]|\.[0-9a-f])/gi;
const NO_MAC = /^(?:0{12}|f{12})$/i;
/* With dots, or with dashes as in the names that providers give to addresses. More than four numbers: a port follows. */
const IPV4 = /(?<!\d)(\d{1,3})([.-])(\d{1,3})\2(\d{1,3})\2(\d{1,3})(?!\d)/g;
/* The longest IPv6 address in text: RFC 4291, 2.2, with dots at its end. */
const LONGEST = 45;
/* What may be an IPv6 address with something in front of it or behind. */
const COLONS = /\w*:[\w:.]*:[\w:.]*/g;

/* Asked by the whole world: they tell nothing of who uses them. */
const COMMON = [ '1.1.1.1', '1.0.0.1', '8.8.8.8', '8.8.4.4', '9.9.9.9', '149.112.112.112', '208.67.222.222', '208.67.220.220',
	'2606:4700:4700::1111', '2606:4700:4700::1001', '2001:4860:4860::8888', '2001:4860:4860::8844', '2620:fe::fe', '2620:fe::9' ];

/* The eight groups of an IPv6 address, or null. */
function groups(text) {
	const dotted = text.match(/^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/);
	if (dotted) {
		const [ a, b, c, d ] = dotted.slice(2).map(Number);
		if (Math.max(a, b, c, d) > 255)
			return null;
		text = dotted[1] + (a * 256 + b).toString(16) + ':' + (c * 256 + d).toString(16);
	}
	const halves = text.split('::');
	if (halves.length > 2)
		return null;
	const [ head, tail ] = halves.map(half => half === '' ? [] : half.split(':'));
	const all = tail === undefined ? head : [ ...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail ];
	return all.length == 8 && all.every(group => /^[0-9a-f]{1,4}$/i.test(group)) ? all.map(group => parseInt(group, 16)) : null;
}

function publicIpv4([ a, b ]) {
	return !(a == 0 || a == 10 || a == 127 || a >= 224 || (a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168) ||
		(a == 169 && b == 254) || (a == 100 && b >= 64 && b < 128));
}

/* Global unicast, and prefixes that hold an IPv4 address. */
function publicIpv6(address) {
	const mapped = address.slice(0, 5).every(group => group == 0) && address[5] == 0xffff;
	return mapped ? publicIpv4([ address[6] >> 8, address[6] & 255 ]) : (address[0] & 0xe000) == 0x2000 || address[0] == 0x64;
}

/* ff:fe in the middle: the second half is made of the hardware address. */
function ofHardware(address) {
	return (address[5] & 0xff) == 0xff && address[6] >> 8 == 0xfe;
}

/* The value of a word, without its quotes. */
function unquoted(word) {
	return word.replace(/'([^'\n]*)'|"((?:[^"\\\n]|\\.)*)"|\\(.)/g, (whole, single, double, one) =>
		single ?? double?.replace(/\\(.)/g, '$1') ?? one);
}

function escaped(text) {
	return text.replace(/[.*+?^${}()|[\]\\\-/]/g, '\\$&');
}

/* Numbers things in the order in which they appear. */
class Names {
	constructor() {
		this.known = new Map();
	}

	of(kind, value) {
		const same = this.known.get(kind) ?? new Map();
		this.known.set(kind, same);
		if (!same.has(value))
			same.set(value, same.size + 1);
		return '<%s%d>'.format(kind, same.get(value));
	}
}

class Masker {
	constructor(choices) {
		this.choices = choices;
		this.names = new Names();
		this.found = new Map();
	}

	/* What `name` calls, or null when it is nobody's business to mask. */
	kind(name) {
		const last = name.replace(/\[[^\]]*\]/g, '').split('.').pop();
		if (SECRET.test(last))
			return 'secret';
		return this.choices.names && PERSONAL.test(last) ? 'name' : null;
	}

	standIn(kind, value) {
		return kind == 'secret' ? MASK : this.names.of('name', value);
	}

	remember(kind, value) {
		for (const line of value.split('\n').map(each => each.trim()))
			if (line.length >= LEAST && !this.found.has(line) && !line.includes(MASK) && !/^<\w+>$/.test(line))
				this.found.set(line, kind);
	}

	/* Values beside the names that call them; every one is looked for in the rest of the text afterwards. */
	named(text) {
		for (const pattern of NAMED)
			text = text.replace(pattern, (whole, before, name, value) => {
				const kind = this.kind(name);
				if (kind == null || value.startsWith(MASK) || value.startsWith("'" + MASK))
					return whole;
				const behind = /^['"]/.test(value) ? value.match(/[:;,.)]*$/)[0] : '';
				const word = behind ? value.slice(0, -behind.length) : value.trimEnd();
				const plain = unquoted(word);
				for (const each of [ plain, ...(word.match(new RegExp(QUOTED, 'g')) ?? []).map(unquoted) ])
					this.remember(kind, each);
				return plain == '' ? whole : before + "'" + this.standIn(kind, plain) + "'" + behind;
			});
		return text;
	}

	elsewhere(text) {
		for (const [ value, kind ] of [ ...this.found ].sort((a, b) => b[0].length - a[0].length))
			text = text.replace(new RegExp(`(?<![\\w<])${escaped(value)}(?![\\w>])`, 'g'), () => this.standIn(kind, value));
		return text;
	}

	keys(text) {
		return text.replace(PEM, MASK).replace(USERINFO, (whole, scheme) => scheme + MASK + '@').replace(BASE64, MASK).replace(HEX, MASK);
	}

	hardware(text) {
		return text.replace(MAC, found => {
			const plain = found.replace(/[:.-]/g, '').toLowerCase();
			return NO_MAC.test(plain) ? found : this.names.of('mac', plain);
		});
	}

	addresses(text) {
		text = text.replace(COLONS, found => this.amongColons(found));
		return this.choices.addresses ? text.replace(IPV4, (found, a, sign, b, c, d) => {
			const address = [ a, b, c, d ].map(Number);
			if (Math.max(...address) > 255 || !publicIpv4(address) || COMMON.includes(found))
				return found;
			return this.names.of('net', address.slice(0, 3).join('.')) + sign + d;
		}) : text;
	}

	/* The first address between any two separators that has to be masked. */
	amongColons(text) {
		const cuts = [ ...text.matchAll(/[:._]/g) ].map(match => match.index);
		for (const start of [ 0, ...cuts.map(cut => cut + 1) ])
			for (const end of [ text.length, ...cuts.filter(cut => cut > start && cut <= start + LONGEST).reverse() ]) {
				if (end - start > LONGEST)
					continue;
				const part = text.slice(start, end), address = groups(part), masked = address && this.ipv6(part, address);
				if (masked && masked != part)
					return text.slice(0, start) + masked + text.slice(end);
			}
		return text;
	}

	ipv6(found, address) {
		const half = address.slice(4).join(':');
		const mac = this.choices.macs && ofHardware(address);
		if (!this.choices.addresses || !publicIpv6(address) || COMMON.includes(found.toLowerCase()))
			return mac ? address.slice(0, 4).map(group => group.toString(16)).join(':').replace(/(:0)+$/, ':') + ':' +
				this.names.of('host', half) : found;
		const net = this.names.of('net6-', address.slice(0, 4).join(':'));
		return half == '0:0:0:0' ? net + '::' : net + ':' + this.names.of('host', half);
	}

	run(text) {
		text = this.named(this.elsewhere(this.keys(text)));
		if (this.choices.names)
			text = text.replace(EMAIL, found => found.startsWith(MASK) ? found : this.standIn('name', found));
		text = this.elsewhere(text);
		if (this.choices.macs)
			text = this.hardware(text);
		return this.choices.macs || this.choices.addresses ? this.addresses(text) : text;
	}
}

return baseclass.extend({
	MASK,

	/* choices: { macs, addresses, names }, each true unless it is false. Passwords and keys are always masked. `secrets`
	 * are values known to be secret by other means: they are masked wherever they stand. */
	mask(text, choices, secrets) {
		const masker = new Masker({ macs: true, addresses: true, names: true, ...choices });
		for (const value of secrets ?? [])
			masker.remember('secret', String(value));
		return masker.run(String(text));
	},

	/* Whether an option of this name holds a password or a key. */
	isSecret(name) {
		return SECRET.test(name);
	}
});
