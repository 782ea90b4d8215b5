package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// echo serves what it is sent, and tells which server it is first.
func echo(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go accept(listener, func(conn net.Conn) {
		io.WriteString(conn, name)
		io.Copy(conn, conn)
		conn.Close()
	})
	return listener.Addr().String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// said sends text on a connection, ends its own half, and returns what came.
func said(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	io.WriteString(conn, text)
	conn.(interface{ CloseWrite() error }).CloseWrite()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestAServiceLeadsToItsEndpointsAndForgetsThoseThatGo(t *testing.T) {
	address := freeAddress(t)
	services := newServices()
	services.set([]service{{Name: "a.b.svc", Forwards: map[string][]string{address: {echo(t, "one:")}}}})
	ask := func() string {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return said(t, conn, "hello")
	}
	if got := ask(); got != "one:hello" {
		t.Errorf("got %q", got)
	}
	services.set([]service{{Name: "a.b.svc", Forwards: map[string][]string{address: {echo(t, "two:")}}}})
	if got := ask(); got != "two:hello" {
		t.Errorf("got %q", got)
	}
	services.set([]service{{Name: "a.b.svc", Forwards: map[string][]string{address: {}}}})
	if got := ask(); !strings.Contains(got, "refused") {
		t.Errorf("a port with no endpoint answered %q", got)
	}
}

func TestConnectLeadsToAnAddressAndToTheNameOfAService(t *testing.T) {
	host, port, _ := net.SplitHostPort(echo(t, "there:"))
	services := newServices()
	services.set([]service{{Name: "istiod.istio-system.svc", Resolved: []string{host}}})
	for asked, wanted := range map[string]string{
		net.JoinHostPort(host, port):                          "200",
		net.JoinHostPort("istiod.istio-system.svc", port):     "200",
		net.JoinHostPort("nobody.istio-system.svc", port):     "503",
		strings.Replace(freeAddress(t), "localhost", "", 1):   "503",
		"istiod.istio-system.svc.cluster.local." + ":" + port: "200",
	} {
		socket := filepath.Join(t.TempDir(), "s")
		listener, err := listenUnix(socket)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go accept(listener, services.connect)
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", asked, asked)
		got := said(t, conn, "hello")
		conn.Close()
		if !strings.HasPrefix(got, "HTTP/1.1 "+wanted) {
			t.Errorf("%s: got %q", asked, got)
		}
		if wanted == "200" && !strings.HasSuffix(got, "there:hello") {
			t.Errorf("%s: got %q", asked, got)
		}
	}
}

func TestNames(t *testing.T) {
	services := newServices()
	services.set([]service{{Name: "ratings.bookinfo.svc", Resolved: []string{"10.96.0.7"}}})
	for _, each := range []struct {
		name  string
		kind  dnsmessage.Type
		code  dnsmessage.RCode
		count int
	}{
		{"ratings.bookinfo.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"Ratings.Bookinfo.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"ratings.bookinfo.svc.cluster.local.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, 0},
		{"ratings.other.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0},
		{"example.com.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0},
	} {
		question := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(each.name), Type: each.kind, Class: dnsmessage.ClassINET}},
		}
		packet, err := question.Pack()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := services.reply(packet)
		if err != nil {
			t.Fatal(err)
		}
		var reply dnsmessage.Message
		if err := reply.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		if reply.ID != 7 || reply.RCode != each.code || len(reply.Answers) != each.count {
			t.Errorf("%s: got %v", each.name, reply)
		}
	}
	if _, err := services.reply([]byte("no question")); err == nil {
		t.Error("a broken packet was answered")
	}
}

func TestRelaysComeAndGo(t *testing.T) {
	made := &relays{open: map[string]net.Listener{}}
	ask := func(body string) string {
		recorder := httptest.NewRecorder()
		made.ServeHTTP(recorder, httptest.NewRequest(http.MethodPut, "/", strings.NewReader(body)))
		return recorder.Body.String()
	}
	first := ask(`{"203.0.113.7:80":0}`)
	if again := ask(`{"203.0.113.7:80":0}`); again != first {
		t.Errorf("a relay moved from %q to %q", first, again)
	}
	listener := made.open["203.0.113.7:80"]
	if left := ask(`{}`); left != "{}\n" {
		t.Errorf("got %q", left)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("a relay that is not wanted still answers")
	}
}

func TestTheLastLinesOfALog(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, each := range []struct {
		text  string
		lines int
		want  string
	}{
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc", 1, "c"},
		{"a\nb\n", 9, "a\nb\n"},
		{long + "\n" + long + "\nend\n", 2, long + "\nend\n"},
		{"", 3, ""},
	} {
		file := bytes.NewReader([]byte(each.text))
		if err := seekToLast(file, each.lines); err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(file); string(got) != each.want {
			t.Errorf("%d lines of %q: got %q", each.lines, each.text, got)
		}
	}
}

func TestAProgramIsFoundOnThePathOfItsContainer(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "pilot-agent")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := lookPath("pilot-agent", []string{"HOME=/", "PATH=/nowhere:" + folder}); got != program {
		t.Errorf("got %q", got)
	}
	for _, absent := range []string{"pilot", "/bin/sh"} {
		if got := lookPath(absent, []string{"PATH=" + folder}); got != "" {
			t.Errorf("%s: got %q", absent, got)
		}
	}
}
