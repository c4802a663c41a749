#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by the tests of OpenWrt's feeds in a container with the package installed: test.sh PACKAGE VERSION

case "$1" in
netpath)
	netpath version | grep -F "${2%-r*}" || exit 1
	netpath check /etc/config/netpath || exit 1
	;;
luci-app-netpath)
	[ -s /usr/share/luci/menu.d/luci-app-netpath.json ] || exit 1
	;;
esac
