# SPDX-License-Identifier: GPL-2.0-or-later
# The packages netpath, netpath-monitor, netpath-bond and luci-app-netpath for an OpenWrt buildroot or SDK, whose feed `packages` has Python. tools/ipk.py
# reads the same definitions where there is no SDK.

NETPATH_DIR := $(patsubst %/,%,$(abspath $(dir $(lastword $(MAKEFILE_LIST)))))

include $(TOPDIR)/rules.mk

PKG_NAME:=netpath
PKG_VERSION:=$(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' $(NETPATH_DIR)/netpath/__init__.py)
PKG_RELEASE:=1
PKG_MAINTAINER:=NetPath maintainers <netpath@users.noreply.github.com>
PKG_LICENSE:=GPL-2.0-or-later
PKG_LICENSE_FILES:=LICENSE

# Bytecode is compiled by the buildroot's own Python; there is nothing else to build.
# po2lmo, for the translations, comes with LuCI.
PKG_BUILD_DEPENDS:=python3/host luci-base/host
PYTHON3_PKG_BUILD:=0

include $(INCLUDE_DIR)/package.mk
include $(TOPDIR)/feeds/packages/lang/python/python3-package.mk

define Package/netpath
  SECTION:=net
  CATEGORY:=Network
  SUBMENU:=Routing and Redirection
  TITLE:=Multi-WAN manager on nftables
  DEPENDS:=+python3-light +python3-asyncio +python3-ctypes +python3-logging +python3-urllib +python3-nftables \
	+nftables-json +kmod-nft-core +kmod-nft-fib +kmod-nft-nat +kmod-nf-conntrack-netlink
  PKGARCH:=all
endef

define Package/netpath/description
  Watches every uplink, spreads connections over them or fails over, by policies and rules, on nftables. Takes over
  the configuration of mwan3.
endef

define Package/netpath/conffiles
/etc/config/netpath
/etc/netpath.user
/etc/netpath/
/etc/netpath.d/
endef

# opkg stops the old service (prerm), unpacks, and starts the new one after this. apk runs no script of the old package
# and only asks to start what runs already; so the running tracker is replaced here, with all of its state.
define Package/netpath/postinst
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
[ "$${PKG_UPGRADE}" = 1 ] && /etc/init.d/netpath running && /etc/init.d/netpath restart
/etc/init.d/rpcd reload
exit 0
endef

# What uci-defaults has compiled is no file of the package.
define Package/netpath/postrm
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
[ "$${PKG_UPGRADE}" = 1 ] || rm -rf /usr/lib/netpath/netpath
/etc/init.d/rpcd reload
exit 0
endef

define Package/netpath-monitor
  SECTION:=net
  CATEGORY:=Network
  SUBMENU:=Routing and Redirection
  TITLE:=Traffic monitor of NetPath
  DEPENDS:=+netpath +python3 +python3-websockets +python3-paho-mqtt +python3-prometheus-client
  PKGARCH:=all
endef

define Package/netpath-monitor/description
  Traffic figures of proxies, uplinks and other routers for displays, Prometheus and MQTT; messages to people when an
  uplink fails.
endef

define Package/netpath-monitor/postinst
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
[ "$${PKG_UPGRADE}" = 1 ] && /etc/init.d/netpath-monitor running && /etc/init.d/netpath-monitor restart
exit 0
endef

define Package/netpath-monitor/postrm
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
[ "$${PKG_UPGRADE}" = 1 ] || rm -rf /usr/lib/netpath/netpath/monitor
exit 0
endef

define Package/netpath-bond
  SECTION:=net
  CATEGORY:=Network
  SUBMENU:=Routing and Redirection
  TITLE:=Bonding tunnel of NetPath
  DEPENDS:=+netpath +python3 +python3-cryptography +kmod-tun
  PKGARCH:=all
endef

define Package/netpath-bond/description
  Several uplinks as one encrypted tunnel to a server elsewhere, and that server.
endef

define Package/netpath-bond/postinst
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
[ "$${PKG_UPGRADE}" = 1 ] && /etc/init.d/netpath-bond running && /etc/init.d/netpath-bond restart
exit 0
endef

define Package/netpath-bond/postrm
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
[ "$${PKG_UPGRADE}" = 1 ] || rm -rf /usr/lib/netpath/netpath/bond
exit 0
endef

define Package/luci-app-netpath
  SECTION:=luci
  CATEGORY:=LuCI
  SUBMENU:=3. Applications
  TITLE:=LuCI support for NetPath
  DEPENDS:=+netpath +luci-base
  PKGARCH:=all
endef

define Package/luci-app-netpath/description
  Status of the multi-WAN manager NetPath in LuCI.
endef

define Package/luci-app-netpath/postinst
#!/bin/sh
[ -n "$${IPKG_INSTROOT}" ] && exit 0
rm -rf /tmp/luci-indexcache* /tmp/luci-modulecache/
/etc/init.d/rpcd reload
exit 0
endef

# As luci.mk names, selects and fills them; LuCI's "zh-cn" is the directory zh_Hans.
define Package/luci-i18n-netpath-ru
  SECTION:=luci
  CATEGORY:=LuCI
  TITLE:=luci-app-netpath - Russian translation
  HIDDEN:=1
  DEFAULT:=LUCI_LANG_ru||(ALL&&m)
  DEPENDS:=luci-app-netpath
  PKGARCH:=all
endef

define Package/luci-i18n-netpath-zh-cn
  SECTION:=luci
  CATEGORY:=LuCI
  TITLE:=luci-app-netpath - Simplified Chinese translation
  HIDDEN:=1
  DEFAULT:=LUCI_LANG_zh_Hans||(ALL&&m)
  DEPENDS:=luci-app-netpath
  PKGARCH:=all
endef

define Build/Prepare
	$(INSTALL_DIR) $(PKG_BUILD_DIR)
	$(CP) $(NETPATH_DIR)/LICENSE $(PKG_BUILD_DIR)/
endef

define Build/Configure
endef

define Build/Compile
endef

# The laboratory is no part of a router.
define Build/Install
	$(INSTALL_DIR) $(PKG_INSTALL_DIR)$(PYTHON3_PKG_DIR)
	$(CP) $(NETPATH_DIR)/netpath $(PKG_INSTALL_DIR)$(PYTHON3_PKG_DIR)/
	rm -rf $(PKG_INSTALL_DIR)$(PYTHON3_PKG_DIR)/netpath/lab
	find $(PKG_INSTALL_DIR) -name __pycache__ -prune -exec rm -rf {} +
endef

# Settings and schema of monitor and bond stay with netpath, whose `check` reads the whole configuration.
define Py3Package/netpath/filespec
+|$(PYTHON3_PKG_DIR)
-|$(PYTHON3_PKG_DIR)/netpath/monitor
-|$(PYTHON3_PKG_DIR)/netpath/bond
endef

define Py3Package/netpath-monitor/filespec
+|$(PYTHON3_PKG_DIR)/netpath/monitor
endef

define Py3Package/netpath-monitor/install
	$(CP) $(NETPATH_DIR)/files-monitor/. $(1)/
endef

define Py3Package/netpath-bond/filespec
+|$(PYTHON3_PKG_DIR)/netpath/bond
endef

define Py3Package/netpath-bond/install
	$(CP) $(NETPATH_DIR)/files-bond/. $(1)/
endef

define Py3Package/netpath/install
	$(CP) $(NETPATH_DIR)/files/. $(1)/
endef

define Package/luci-app-netpath/install
	$(CP) $(NETPATH_DIR)/root/. $(1)/
	$(INSTALL_DIR) $(1)/www $(1)/usr/lib/lua/luci
	$(CP) $(NETPATH_DIR)/htdocs/. $(1)/www/
	$(CP) $(NETPATH_DIR)/luasrc/. $(1)/usr/lib/lua/luci/
endef

# 1: the package's directory, 2: LuCI's short name of the language, 3: its directory below po/, 4: its name in LuCI's list
define InstallTranslation
	$(INSTALL_DIR) $(1)/etc/uci-defaults $(1)/usr/lib/lua/luci/i18n
	echo "uci set luci.languages.$(subst -,_,$(2))='$(4)'; uci commit luci" > $(1)/etc/uci-defaults/luci-i18n-netpath-$(2)
	po2lmo $(NETPATH_DIR)/po/$(3)/netpath.po $(1)/usr/lib/lua/luci/i18n/netpath.$(2).lmo
endef

define Package/luci-i18n-netpath-ru/install
	$(call InstallTranslation,$(1),ru,ru,Русский (Russian))
endef

define Package/luci-i18n-netpath-zh-cn/install
	$(call InstallTranslation,$(1),zh-cn,zh_Hans,简体中文 (Simplified Chinese))
endef

$(eval $(call Py3Package,netpath))
$(eval $(call BuildPackage,netpath))
$(eval $(call BuildPackage,netpath-src))
$(eval $(call Py3Package,netpath-monitor))
$(eval $(call BuildPackage,netpath-monitor))
$(eval $(call BuildPackage,netpath-monitor-src))
$(eval $(call Py3Package,netpath-bond))
$(eval $(call BuildPackage,netpath-bond))
$(eval $(call BuildPackage,netpath-bond-src))
$(eval $(call BuildPackage,luci-app-netpath))
$(eval $(call BuildPackage,luci-i18n-netpath-ru))
$(eval $(call BuildPackage,luci-i18n-netpath-zh-cn))
