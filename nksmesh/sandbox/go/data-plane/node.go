package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	apiServerAddress = "10.96.0.1:443"
	nameServer       = "10.96.0.10"
	// the node's own address for pods that have a link of their own: all others are local
	nodeAddress = "10.244.255.254"
)

// inside is the part in the namespaces: the node that all pods share.
func inside(args []string) error {
	flags := flag.NewFlagSet("inside", flag.ExitOnError)
	check := flags.Bool("check", false, "only make a pod, and end")
	certificate := flags.String("certificate", "", "the kubelet's certificate and key, without .crt and .key")
	fallback := flags.String("fallback", "kubelet.sock", "the kubelet of simulated pods")
	var networks []*net.IPNet
	flags.Func("network", "addresses that are local here", func(text string) error {
		_, network, err := net.ParseCIDR(text)
		networks = append(networks, network)
		return err
	})
	flags.Parse(args)
	if *check {
		log.SetFlags(0)
	}
	if err := makeLocal(networks); err != nil {
		return fmt.Errorf("no network can be made here: %w", err)
	}
	if *check {
		tried, err := newPod("check", podRequest{Address: "10.244.0.1", Captured: true})
		if err == nil {
			tried.end()
		}
		return err
	}
	pods := &pods{byName: map[podName]*pod{}}
	services := newServices()
	if err := services.serveNames(nameServer + ":53"); err != nil {
		return err
	}
	api, err := net.Listen("tcp", apiServerAddress)
	if err != nil {
		return err
	}
	go accept(api, func(conn net.Conn) { join(conn, func() (net.Conn, error) { return net.Dial("unix", apiSocket) }) })
	connect, err := listenUnix(connectSocket)
	if err != nil {
		return err
	}
	go accept(connect, services.connect)
	kubelet, err := listenUnix(kubeletSocket)
	if err != nil {
		return err
	}
	go serveKubelet(kubelet, pods, *certificate, *fallback)
	control, err := listenUnix(controlSocket)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		os.Exit(0) // process 1: with it, everything in these namespaces ends
	}()
	log.Print("ready")
	return http.Serve(control, controlHandler(pods, services))
}

// makeLocal makes every address of some networks one of this node: no process need know which of them are in use.
func makeLocal(networks []*net.IPNet) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	for _, network := range networks {
		route := &netlink.Route{
			LinkIndex: loopback.Attrs().Index, Dst: network, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL,
			Scope: netlink.SCOPE_HOST,
		}
		if err := netlink.RouteAdd(route); err != nil {
			return err
		}
	}
	return setForwarding()
}

func setForwarding() error {
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}
