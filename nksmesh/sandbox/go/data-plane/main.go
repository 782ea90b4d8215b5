// The network of a sandbox's pods, without root: user, network, mount and process namespaces of its own.
//
// The program is three processes. The first stays on the host: it starts the second, leads it to the API server,
// and listens on loopback for external addresses. The second is process 1 of new namespaces: there every address of
// a pod, a Service and a load balancer is local. Each pod has namespaces below those, held by a process that pauses.
//
// The sandbox's agent says what is to be there, over a unix socket (control.go). Sockets are files in the working
// folder, which their owner alone may enter.
package main

import (
	"log"
	"os"
)

const (
	controlSocket = "data-plane.sock" // what the agent asks for
	relaySocket   = "relay.sock"      // the same, of loopback addresses on the host
	connectSocket = "pods.sock"       // CONNECT to any address inside
	kubeletSocket = "pod-kubelet.sock"
	apiSocket     = "api-server.sock" // leads to the API server, from inside
)

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	var err error
	switch role {
	case "pause":
		pause()
	case "inside":
		err = inside(os.Args[2:])
	default:
		err = outside(os.Args[1:])
	}
	if err != nil {
		log.Fatal(err)
	}
}
