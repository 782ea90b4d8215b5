package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// outside is the part on the host.
func outside(args []string) error {
	flags := flag.NewFlagSet("data-plane", flag.ExitOnError)
	server := flags.String("server", "", "host and port of the API server, on the host")
	check := flags.Bool("check", false, "only say whether namespaces can be made here")
	flags.Parse(args)
	// the signal of a parent's death is that of a thread: the thread must stay
	runtime.LockOSThread()
	if *check {
		log.SetFlags(0) // its last line is shown to the user
		return ended(namespaced("inside", "-check", "-network", "10.244.0.0/16").Run())
	}
	api, err := listenUnix(apiSocket)
	if err != nil {
		return err
	}
	go accept(api, func(conn net.Conn) { join(conn, func() (net.Conn, error) { return net.Dial("tcp", *server) }) })
	control, err := listenUnix(relaySocket)
	if err != nil {
		return err
	}
	go http.Serve(control, &relays{open: map[string]net.Listener{}})
	inner := namespaced(append([]string{"inside"}, flags.Args()...)...)
	if err := inner.Start(); err != nil {
		return ended(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		inner.Process.Signal(<-stop)
	}()
	return ended(inner.Wait())
}

// ended ends this part as the inner one, which has said why; where that could not begin, the kernel has.
func ended(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return fmt.Errorf("the kernel answers %q", number.Error())
	}
	return err
}

// namespaced makes this program's inner part: root, of nothing but its own namespaces.
func namespaced(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	command := exec.Command(self, args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return command
}

// relays are loopback addresses of the host that lead to addresses inside.
type relays struct {
	mutex sync.Mutex
	open  map[string]net.Listener
}

// ServeHTTP takes the wanted relays (address inside: port on the host, 0 for any) and answers with those there are.
func (r *relays) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	wanted := map[string]int{}
	if err := json.NewDecoder(request.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for target, listener := range r.open {
		if _, kept := wanted[target]; !kept {
			listener.Close()
			delete(r.open, target)
		}
	}
	made := map[string]int{}
	for target, port := range wanted {
		if r.open[target] == nil {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil { // another program has the port by now
				listener, err = net.Listen("tcp", "127.0.0.1:0")
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			r.open[target] = listener
			go accept(listener, func(conn net.Conn) {
				join(conn, func() (net.Conn, error) { return connectTo(target) })
			})
		}
		made[target] = r.open[target].Addr().(*net.TCPAddr).Port
	}
	answer(w, made)
}
