package main

import (
	"bufio"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	clusterDomain = "cluster.local."
	nameTTL       = 1 // seconds: what a Service has can change at any time
)

// service is what the agent says of a Service.
type service struct {
	Name     string              `json:"name"`     // name.namespace.svc
	Resolved []string            `json:"resolved"` // what the name resolves to
	Forwards map[string][]string `json:"forwards"` // address:port, and the endpoints behind it
}

// services lead connections to endpoints, and know the names of Services.
type services struct {
	mutex sync.Mutex
	open  map[string]*forward
	names atomic.Pointer[map[string][]net.IP]
}

// forward is a port of a Service, which connections are taken on.
type forward struct {
	listener  net.Listener
	endpoints atomic.Pointer[[]string]
}

func newServices() *services {
	made := &services{open: map[string]*forward{}}
	made.names.Store(&map[string][]net.IP{})
	return made
}

// set makes these the Services there are. A port with no endpoint refuses connections, as kube-proxy has it.
func (s *services) set(wanted []service) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	names := map[string][]net.IP{}
	forwards := map[string][]string{}
	for _, each := range wanted {
		for _, text := range each.Resolved {
			if address := net.ParseIP(text).To4(); address != nil {
				names[each.Name] = append(names[each.Name], address)
			}
		}
		for address, endpoints := range each.Forwards {
			if len(endpoints) > 0 {
				forwards[address] = endpoints
			}
		}
	}
	s.names.Store(&names)
	for address, known := range s.open {
		if _, kept := forwards[address]; !kept {
			known.listener.Close()
			delete(s.open, address)
		}
	}
	for address, endpoints := range forwards {
		known := s.open[address]
		if known == nil {
			listener, err := net.Listen("tcp", address)
			if err != nil {
				log.Printf("Service address: %v", err)
				continue
			}
			known = &forward{listener: listener}
			s.open[address] = known
			go accept(listener, known.serve)
		}
		known.endpoints.Store(&endpoints)
	}
}

func (f *forward) serve(conn net.Conn) {
	join(conn, func() (net.Conn, error) {
		endpoints := *f.endpoints.Load()
		return net.DialTimeout("tcp", endpoints[rand.IntN(len(endpoints))], dialTimeout)
	})
}

// connect answers one CONNECT request, for an address or the name of a Service.
func (s *services) connect(conn net.Conn) {
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		fmt.Fprint(conn, "HTTP/1.1 405 only CONNECT is understood\r\n\r\n")
		conn.Close()
		return
	}
	host, port, err := net.SplitHostPort(request.Host)
	if err == nil && net.ParseIP(host) == nil {
		addresses := s.resolve(host)
		if len(addresses) == 0 {
			err = fmt.Errorf("no Service is named %s", host)
		} else {
			host = addresses[0].String()
		}
	}
	var there net.Conn
	if err == nil {
		there, err = net.DialTimeout("tcp", net.JoinHostPort(host, port), dialTimeout)
	}
	if err != nil {
		fmt.Fprintf(conn, "HTTP/1.1 503 %v\r\n\r\n", err)
		conn.Close()
		return
	}
	fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	both(conn, reader, there)
}

// resolve looks a name up, with the cluster's domain at its end or without.
func (s *services) resolve(name string) []net.IP {
	name = strings.TrimSuffix(strings.ToLower(strings.TrimSuffix(name, ".")+"."), clusterDomain)
	return (*s.names.Load())[strings.TrimSuffix(name, ".")]
}

// serveNames answers questions for names of Services; every other name does not exist.
func (s *services) serveNames(address string) error {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	go func() {
		packet := make([]byte, 1500)
		for {
			size, asker, err := socket.ReadFrom(packet)
			if err != nil {
				log.Printf("name server: %v", err)
				continue
			}
			if reply, err := s.reply(packet[:size]); err != nil {
				log.Printf("name server: %v", err)
			} else {
				socket.WriteTo(reply, asker)
			}
		}
	}()
	return nil
}

func (s *services) reply(packet []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(packet)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	addresses := s.resolve(question.Name.String())
	code := dnsmessage.RCodeSuccess
	if len(addresses) == 0 {
		code = dnsmessage.RCodeNameError
	}
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired,
			RecursionAvailable: true, RCode: code,
		},
		Questions: []dnsmessage.Question{question},
	}
	if question.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{
					Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: nameTTL,
				},
				Body: &dnsmessage.AResource{A: [4]byte(address)},
			})
		}
	}
	return message.Pack()
}
