package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	gatewayAddress = "169.254.1.1"       // a pod's way to the node
	gatewayMAC     = "0a:00:00:00:00:01" // the same for every pod: only a link's two ends see it
	peerMAC        = "0a:00:00:00:00:02"
)

type podName struct{ namespace, name string }

// podRequest is what the agent says of a pod.
type podRequest struct {
	UID        string `json:"uid"`
	Address    string `json:"address"`
	Captured   bool   `json:"captured"`    // the application's traffic goes through the pod's Envoy
	ResolvConf string `json:"resolv_conf"` // the file that its processes see as /etc/resolv.conf
	Hosts      string `json:"hosts"`       // and as /etc/hosts
}

// pod has a network, mounts and processes of its own.
type pod struct {
	podRequest
	name        string
	holder      *exec.Cmd
	namespaces  int      // the holder, as a file descriptor
	application *os.File // the network of the application; nil where that is the pod's own
	link        netlink.Link

	mutex      sync.Mutex
	containers map[string]*container
}

// pods are those that have processes here.
type pods struct {
	mutex  sync.Mutex
	byName map[podName]*pod
}

func (p *pods) get(name podName) *pod {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.byName[name]
}

func (p *pods) add(name podName, request podRequest) error {
	p.remove(name, "")
	made, err := newPod(name.name, request)
	if err != nil {
		return err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.byName[name] = made
	return nil
}

// remove ends a pod, unless one of another uid has its name by now; no uid means any.
func (p *pods) remove(name podName, uid string) {
	p.mutex.Lock()
	found := p.byName[name]
	if found != nil && uid != "" && uid != found.UID {
		found = nil
	} else {
		delete(p.byName, name)
	}
	p.mutex.Unlock()
	if found != nil {
		found.end()
	}
}

func (p *pods) removeAll() {
	p.mutex.Lock()
	all := p.byName
	p.byName = map[podName]*pod{}
	p.mutex.Unlock()
	for _, found := range all {
		found.end()
	}
}

func newPod(name string, request podRequest) (*pod, error) {
	address := net.ParseIP(request.Address).To4()
	if address == nil {
		return nil, fmt.Errorf("%q is no IPv4 address", request.Address)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	made := &pod{name: name, podRequest: request, containers: map[string]*container{}, namespaces: -1}
	made.holder = exec.Command(self, "pause")
	made.holder.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
		PidFD:      &made.namespaces,
	}
	if err := made.holder.Start(); err != nil {
		return nil, err
	}
	if err := made.connect(address); err != nil {
		made.end()
		return nil, err
	}
	return made, nil
}

// connect gives a pod its link to the node, and to its application.
func (p *pod) connect(address net.IP) error {
	host := &net.IPNet{IP: address, Mask: net.CIDRMask(32, 32)}
	link := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: fmt.Sprintf("v%x", []byte(address)), HardwareAddr: mac(gatewayMAC)},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsPid(p.holder.Process.Pid),
	}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("link of %s: %w", address, err)
	}
	p.link = link
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: host, Src: net.ParseIP(nodeAddress), Type: unix.RTN_UNICAST,
		Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_LINK,
	}); err != nil {
		return fmt.Errorf("route to %s: %w", address, err)
	}
	if err := p.within(false, func() error { return p.settle(host) }); err != nil {
		return fmt.Errorf("network of %s: %w", address, err)
	}
	if !p.Captured {
		return nil
	}
	return p.capture(address)
}

// settle runs inside the pod: its address, its way out, and its files for names.
func (p *pod) settle(host *net.IPNet) error {
	for path, file := range map[string]string{"/etc/resolv.conf": p.ResolvConf, "/etc/hosts": p.Hosts} {
		if file == "" {
			continue
		}
		if err := unix.Mount(file, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s in place of %s: %w", file, path, err)
		}
	}
	if err := unix.Sethostname([]byte(p.name)); err != nil {
		return err
	}
	if err := up("lo", nil); err != nil {
		return err
	}
	if err := up("eth0", host); err != nil {
		return err
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	gateway := net.ParseIP(gatewayAddress)
	if err := netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, IP: gateway, HardwareAddr: mac(gatewayMAC), State: netlink.NUD_PERMANENT,
	}); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway, Flags: int(netlink.FLAG_ONLINK)})
}

// within runs something on a thread inside the pod's namespaces: of the application's side, where there is one.
func (p *pod) within(application bool, work func() error) error {
	done := make(chan error, 1)
	go func() {
		// the thread is never given back: it ends with this goroutine, and nobody else gets into its namespaces
		runtime.LockOSThread()
		done <- func() error {
			// mounts are of a group of threads that share a working folder, unless one leaves it
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Setns(p.namespaces, unix.CLONE_NEWNET|unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWUTS); err != nil {
				return err
			}
			if application && p.application != nil {
				if err := unix.Setns(int(p.application.Fd()), unix.CLONE_NEWNET); err != nil {
					return err
				}
			}
			return work()
		}()
	}()
	return <-done
}

// end kills what is left of a pod: with the process that holds its namespaces, the kernel ends all others.
func (p *pod) end() {
	p.holder.Process.Kill()
	p.holder.Wait()
	if p.application != nil {
		p.application.Close()
	}
	if p.link != nil {
		netlink.LinkDel(p.link)
	}
	unix.Close(p.namespaces)
}

// up gives a link its address, if it is to have one, and brings it up.
func up(name string, address *net.IPNet) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if address != nil {
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: address}); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}

func mac(text string) net.HardwareAddr {
	address, _ := net.ParseMAC(text)
	return address
}
