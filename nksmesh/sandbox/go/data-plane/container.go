package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// containerRequest is what the agent says of a container's process.
type containerRequest struct {
	Command     []string `json:"command"`
	Environment []string `json:"environment"`
	Directory   string   `json:"directory"`
	Log         string   `json:"log"`
	Application bool     `json:"application"` // on the application's side of a captured pod
}

// container is one process of a pod, and those that it starts.
type container struct {
	containerRequest
	process *exec.Cmd
	ended   chan struct{} // closed once it has ended
	code    int
}

func (p *pod) start(name string, request containerRequest) error {
	if len(request.Command) == 0 {
		return errors.New("a container needs a command")
	}
	log, err := os.OpenFile(request.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(request.Command[0], request.Command[1:]...)
	if path := lookPath(request.Command[0], request.Environment); path != "" {
		process.Path, process.Err = path, nil
	}
	process.Env, process.Dir, process.Stdout, process.Stderr = request.Environment, request.Directory, log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.within(request.Application, process.Start); err != nil {
		return err
	}
	made := &container{containerRequest: request, process: process, ended: make(chan struct{})}
	p.mutex.Lock()
	p.containers[name] = made
	p.mutex.Unlock()
	go func() {
		process.Wait()
		syscall.Kill(-process.Process.Pid, syscall.SIGKILL) // what it started ends with it
		made.code = exitCode(process.ProcessState)
		close(made.ended)
	}()
	return nil
}

func (p *pod) container(name string) *container {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.containers[name]
}

// stop asks a container to end, and insists after the grace.
func (c *container) stop(grace time.Duration) {
	c.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(grace):
		c.process.Process.Kill()
		<-c.ended
	}
}

// lookPath finds a program as a shell with this environment would.
func lookPath(program string, environment []string) string {
	if strings.Contains(program, "/") {
		return ""
	}
	for _, variable := range environment {
		path, found := strings.CutPrefix(variable, "PATH=")
		if !found {
			continue
		}
		for _, folder := range strings.Split(path, ":") {
			if info, err := os.Stat(folder + "/" + program); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
				return folder + "/" + program
			}
		}
	}
	return ""
}

// exitCode is that of a shell: 128 and the signal's number for a process that a signal ended.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
