package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// controlHandler is what the agent asks for:
//
//	POST   /reset                            no pod, no Service
//	PUT    /services                         these are the Services
//	GET    /probe?url=URL                    a GET from the node, as a kubelet's probe; its status is the answer's
//	PUT    /pods/NAMESPACE/POD               a pod's namespaces
//	DELETE /pods/NAMESPACE/POD?uid=UID       their end, and that of all in them
//	PUT    /pods/NAMESPACE/POD/CONTAINER     a container's process
//	GET    /pods/NAMESPACE/POD/CONTAINER     waits until it has ended; its exit code
//	DELETE /pods/NAMESPACE/POD/CONTAINER     asks it to end; insists after ?grace=30s
//	GET    /pods/NAMESPACE/POD/CONTAINER/listens?port=PORT    whether a port of its loopback takes connections
//	GET    /alive                            an answer that ends with this program
func controlHandler(pods *pods, services *services) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		pods.removeAll()
		services.set(nil)
	})
	mux.HandleFunc("PUT /services", func(w http.ResponseWriter, r *http.Request) {
		var wanted []service
		if decoded(w, r, &wanted) {
			services.set(wanted)
		}
	})
	mux.HandleFunc("GET /probe", probe)
	mux.HandleFunc("GET /alive", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("PUT /pods/{namespace}/{pod}", func(w http.ResponseWriter, r *http.Request) {
		var request podRequest
		if decoded(w, r, &request) {
			failed(w, pods.add(named(r), request))
		}
	})
	mux.HandleFunc("DELETE /pods/{namespace}/{pod}", func(_ http.ResponseWriter, r *http.Request) {
		pods.remove(named(r), r.FormValue("uid"))
	})
	mux.HandleFunc("PUT /pods/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		var request containerRequest
		pod := pods.get(named(r))
		if pod == nil {
			http.NotFound(w, r)
		} else if decoded(w, r, &request) {
			failed(w, pod.start(r.PathValue("container"), request))
		}
	})
	of := func(serve func(http.ResponseWriter, *http.Request, *pod, *container)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if pod := pods.get(named(r)); pod != nil {
				if found := pod.container(r.PathValue("container")); found != nil {
					serve(w, r, pod, found)
					return
				}
			}
			http.NotFound(w, r)
		}
	}
	mux.HandleFunc("GET /pods/{namespace}/{pod}/{container}/listens", of(listens))
	mux.HandleFunc("GET /pods/{namespace}/{pod}/{container}", of(func(w http.ResponseWriter, r *http.Request, _ *pod, found *container) {
		select {
		case <-found.ended:
			answer(w, map[string]int{"code": found.code})
		case <-r.Context().Done():
		}
	}))
	mux.HandleFunc("DELETE /pods/{namespace}/{pod}/{container}", of(func(w http.ResponseWriter, r *http.Request, _ *pod, found *container) {
		grace, err := time.ParseDuration(r.FormValue("grace"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		found.stop(grace)
		answer(w, map[string]int{"code": found.code})
	}))
	return mux
}

var prober = &http.Client{
	Timeout:       time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func probe(w http.ResponseWriter, r *http.Request) {
	response, err := prober.Get(r.FormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	response.Body.Close()
	w.WriteHeader(response.StatusCode)
}

func listens(w http.ResponseWriter, r *http.Request, pod *pod, found *container) {
	if err := pod.within(found.Application, func() error {
		conn, err := net.DialTimeout("tcp4", "127.0.0.1:"+r.FormValue("port"), dialTimeout)
		if err == nil {
			conn.Close()
		}
		return err
	}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func named(r *http.Request) podName { return podName{r.PathValue("namespace"), r.PathValue("pod")} }

func decoded(w http.ResponseWriter, r *http.Request, to any) bool {
	err := json.NewDecoder(r.Body).Decode(to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func failed(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
