package main

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	proxySide       = "169.254.2.1" // the pod's end of the link to its application
	applicationSide = "169.254.2.2"
	applicationLink = "app0"
	outboundPort    = 15001
	inboundPort     = 15006
	firstProxyPort  = 15000 // what is between these two is the proxy's own
	lastProxyPort   = 15100
)

// directPorts of a pod are not led through Envoy's inbound listener (istio-iptables' own list).
var directPorts = []uint16{15008, 15020, 15021, 15090}

// capture puts the application into a network behind the pod's: what it sends passes the pod, where Envoy takes it.
//
// istio-init tells the two apart by user, and one user is mapped here: so they are told apart by the link instead.
func (p *pod) capture(address net.IP) error {
	var err error
	if p.application, err = newNetwork(); err != nil {
		return err
	}
	prefix := net.CIDRMask(30, 32)
	err = p.within(false, func() error {
		link := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: applicationLink},
			PeerName:      "eth0",
			PeerNamespace: netlink.NsFd(int(p.application.Fd())),
		}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		if err := up(applicationLink, &net.IPNet{IP: net.ParseIP(proxySide), Mask: prefix}); err != nil {
			return err
		}
		if err := setForwarding(); err != nil {
			return err
		}
		// Envoy sends to the application from 127.0.0.6
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+applicationLink+"/route_localnet", []byte("1"), 0); err != nil {
			return err
		}
		return redirect(address)
	})
	if err != nil {
		return fmt.Errorf("redirection in %s: %w", address, err)
	}
	return p.within(true, func() error {
		if err := up("lo", nil); err != nil {
			return err
		}
		if err := up("eth0", &net.IPNet{IP: net.ParseIP(applicationSide), Mask: prefix}); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(proxySide)})
	})
}

// newNetwork makes a network namespace that lives as long as its file is open.
func newNetwork() (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never given back, as in within
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{nil, err}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		made <- result{file, err}
	}()
	got := <-made
	return got.file, got.err
}

// redirect writes the rules of a captured pod, in its own network.
func redirect(address net.IP) error {
	connection, err := nftables.New()
	if err != nil {
		return err
	}
	table := connection.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "istio"})
	chain := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
		return connection.AddChain(&nftables.Chain{
			Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: priority,
		})
	}
	rule := func(chain *nftables.Chain, parts ...[]expr.Any) {
		var all []expr.Any
		for _, part := range parts {
			all = append(all, part...)
		}
		connection.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}
	before := chain("prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	rule(before, link(expr.MetaKeyIIFNAME, applicationLink), tcp(), redirection(outboundPort))
	for _, port := range directPorts {
		rule(before, link(expr.MetaKeyIIFNAME, "eth0"), tcp(), destinationPort(port), []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}})
	}
	rule(before, link(expr.MetaKeyIIFNAME, "eth0"), tcp(), redirection(inboundPort))
	own := chain("output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	for _, local := range []net.IP{address, net.IPv4(127, 0, 0, 1).To4()} {
		rule(own, destination(local), tcp(), notOfProxy(), translation(net.ParseIP(applicationSide).To4()))
	}
	after := chain("postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	masquerade := []expr.Any{&expr.Masq{}}
	rule(after, link(expr.MetaKeyOIFNAME, "eth0"), source(net.ParseIP(applicationSide).To4()), masquerade)
	rule(after, link(expr.MetaKeyOIFNAME, applicationLink), masquerade)
	return connection.Flush()
}

func link(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded}}
}

func tcp() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
	}
}

func payload(base expr.PayloadBase, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: length}
}

func destinationPort(port uint16) []expr.Any {
	return []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 2, 2),
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

func notOfProxy() []expr.Any {
	return []expr.Any{
		payload(expr.PayloadBaseTransportHeader, 2, 2),
		&expr.Range{
			Op: expr.CmpOpNeq, Register: 1,
			FromData: binaryutil.BigEndian.PutUint16(firstProxyPort), ToData: binaryutil.BigEndian.PutUint16(lastProxyPort),
		},
	}
}

func source(address net.IP) []expr.Any {
	return []expr.Any{
		payload(expr.PayloadBaseNetworkHeader, 12, 4), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address},
	}
}

func destination(address net.IP) []expr.Any {
	return []expr.Any{
		payload(expr.PayloadBaseNetworkHeader, 16, 4), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address},
	}
}

func redirection(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)}, &expr.Redir{RegisterProtoMin: 1},
	}
}

func translation(address net.IP) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: address},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	}
}
