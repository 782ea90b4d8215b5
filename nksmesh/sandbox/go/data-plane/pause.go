package main

import (
	"os"
	"os/signal"
	"syscall"
)

// pause is process 1 of a pod: it holds the pod's namespaces and buries orphans. With it, all of the pod ends.
func pause() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for range children {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
