package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"k8s.io/apimachinery/pkg/types"
	streams "k8s.io/apimachinery/pkg/util/remotecommand"
	terminal "k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	"k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	exitcodes "k8s.io/utils/exec"
)

const (
	idleTimeout  = 4 * time.Hour // a kubelet's own
	creationTime = 30 * time.Second
	proxyName    = "istio-proxy"
	followTime   = 100 * time.Millisecond
)

// kubelet answers the API server for pods that have processes here; the rest is the agent's.
type kubelet struct {
	pods     *pods
	fallback http.Handler
}

func serveKubelet(listener net.Listener, pods *pods, certificate, fallback string) {
	server := &http.Server{
		Handler: &kubelet{pods, simulated(fallback)},
		// streams upgrade a connection, which HTTP/2 does not know
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	log.Fatal(server.ServeTLS(listener, certificate+".crt", certificate+".key"))
}

// simulated leads to the agent's own kubelet.
func simulated(socket string) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: "kubelet"})
	proxy.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		// a socket in a folder of this sandbox alone
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	return proxy
}

// ServeHTTP serves VERB/NAMESPACE/POD[/UID]/CONTAINER.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 3 || k.pods.get(podName{parts[1], parts[2]}) == nil {
		k.fallback.ServeHTTP(w, r)
		return
	}
	verb, pod, container := parts[0], parts[1]+"/"+parts[2], parts[len(parts)-1]
	switch verb {
	case "exec":
		options, err := remotecommand.NewOptions(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		remotecommand.ServeExec(w, r, k, pod, "", container, r.URL.Query()["command"], options,
			idleTimeout, creationTime, streams.SupportedStreamingProtocols)
	case "portForward":
		options, err := portforward.NewV4Options(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		portforward.ServePortForward(w, r, k, pod, "", options, idleTimeout, creationTime, portforward.SupportedProtocols)
	case "containerLogs":
		k.logs(w, r, pod, container)
	default:
		k.fallback.ServeHTTP(w, r)
	}
}

func (k *kubelet) find(name string) (*pod, error) {
	namespace, name, _ := strings.Cut(name, "/")
	if found := k.pods.get(podName{namespace, name}); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("pod %s/%s has ended", namespace, name)
}

// ExecInContainer runs a command beside a container's process.
func (k *kubelet) ExecInContainer(
	ctx context.Context, name string, _ types.UID, container string, command []string, in io.Reader,
	out, problems io.WriteCloser, tty bool, resize <-chan terminal.TerminalSize, _ time.Duration,
) error {
	pod, err := k.find(name)
	if err != nil {
		return err
	}
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	process.Dir, process.Env = "/", os.Environ()
	application := container != proxyName
	if beside := pod.container(container); beside != nil {
		process.Dir, process.Env, application = beside.Directory, beside.Environment, beside.Application
		if path := lookPath(command[0], beside.Environment); path != "" {
			process.Path, process.Err = path, nil
		}
	}
	if tty {
		return exited(runInTerminal(pod, application, process, in, out, resize))
	}
	process.Stdout, process.Stderr = out, problems
	if in != nil {
		// os/exec would wait until the client's input ends, which a kubelet does not
		input, err := process.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			io.Copy(input, in)
			input.Close()
		}()
	}
	if err := pod.within(application, process.Start); err != nil {
		return notStarted(err)
	}
	return exited(process.Wait())
}

func runInTerminal(
	pod *pod, application bool, process *exec.Cmd, in io.Reader, out io.Writer, resize <-chan terminal.TerminalSize,
) error {
	master, slave, err := pty.Open()
	if err != nil {
		return err
	}
	defer master.Close()
	process.Stdin, process.Stdout, process.Stderr = slave, slave, slave
	process.SysProcAttr.Setctty = true
	err = pod.within(application, process.Start)
	slave.Close()
	if err != nil {
		return notStarted(err)
	}
	go func() {
		for size := range resize {
			pty.Setsize(master, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go io.Copy(master, in)
	}
	io.Copy(out, master) // ends with an error, EIO, when the last process of the terminal has ended
	return process.Wait()
}

// notStarted is the code and the words of a runtime for a program that is not there.
func notStarted(err error) error {
	return exitcodes.CodeExitError{Err: err, Code: 127}
}

func exited(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitcodes.CodeExitError{Err: err, Code: exitCode(exit.ProcessState)}
	}
	return err
}

// PortForward leads a stream to a port of the pod's loopback, as a runtime does.
func (k *kubelet) PortForward(_ context.Context, name string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	pod, err := k.find(name)
	if err != nil {
		return err
	}
	var conn net.Conn
	if err := pod.within(false, func() (err error) {
		conn, err = net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", port), dialTimeout)
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		io.Copy(conn, stream)
		conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}

// logs sends what a container wrote: all, or its last lines; and what it writes from now on, if asked.
func (k *kubelet) logs(w http.ResponseWriter, r *http.Request, name, container string) {
	pod, err := k.find(name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	found := pod.container(container)
	if found == nil {
		k.fallback.ServeHTTP(w, r) // a container that is simulated, in a pod with processes
		return
	}
	file, err := os.Open(found.Log)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer file.Close()
	if lines, err := strconv.Atoi(r.FormValue("tailLines")); err == nil {
		if err := seekToLast(file, lines); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain")
	for {
		if _, err := io.Copy(w, file); err != nil || r.FormValue("follow") != "true" {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-found.ended:
			io.Copy(w, file)
			return
		case <-time.After(followTime):
		}
	}
}

// seekToLast sets a file to where its last lines begin.
func seekToLast(file io.ReadSeeker, lines int) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for at := end; at > 0; {
		size := min(int64(len(block)), at)
		at -= size
		if _, err := file.Seek(at, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.ReadFull(file, block[:size]); err != nil {
			return err
		}
		for index := size - 1; index >= 0; index-- {
			if block[index] != '\n' || at+index == end-1 {
				continue
			}
			if lines--; lines <= 0 {
				_, err := file.Seek(at+index+1, io.SeekStart)
				return err
			}
		}
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}
