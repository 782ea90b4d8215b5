package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const dialTimeout = 5 * time.Second

// listenUnix listens on a socket's file, in place of one that an earlier process left.
func listenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

// accept serves connections until the listener is closed.
func accept(listener net.Listener, serve func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Printf("accept on %s: %v", listener.Addr(), err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go serve(conn)
	}
}

// join leads a connection to another, which is opened first. Where that fails the caller sees a reset.
func join(conn net.Conn, open func() (net.Conn, error)) {
	there, err := open()
	if err != nil {
		log.Print(err)
		reset(conn)
		return
	}
	both(conn, conn, there)
}

// both copies in both directions; each side's end is passed on, and the other direction goes on.
func both(conn net.Conn, from io.Reader, there net.Conn) {
	defer conn.Close()
	defer there.Close()
	var sent sync.WaitGroup
	sent.Add(1)
	go func() {
		defer sent.Done()
		pass(there, from)
	}()
	pass(conn, there)
	sent.Wait()
}

func pass(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		half.CloseWrite()
		return
	}
	reset(to)
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// connectTo opens a connection to an address inside, from the host.
func connectTo(address string) (net.Conn, error) {
	conn, err := net.DialTimeout("unix", connectSocket, dialTimeout)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address)
	// the answer's head is read byte by byte: what follows it is the connection's
	reader := bufio.NewReaderSize(io.LimitReader(conn, 1<<16), 16)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return &buffered{Conn: conn, reader: io.MultiReader(io.LimitReader(reader, int64(reader.Buffered())), conn)}, nil
}

// buffered is a connection of which some bytes were read already.
type buffered struct {
	net.Conn
	reader io.Reader
}

func (b *buffered) Read(to []byte) (int, error) { return b.reader.Read(to) }

func (b *buffered) CloseWrite() error { return b.Conn.(*net.UnixConn).CloseWrite() }

func answer(w http.ResponseWriter, content any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(content); err != nil {
		log.Print(err)
	}
}
