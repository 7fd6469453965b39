// A registry of go-containerregistry's with the referrers API, which `crane registry serve`
// leaves out. The peers' tests of host/registry start it and read its address; it keeps
// everything in memory and ends with them.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	handler := registry.New(registry.WithReferrersSupport(true))
	log.Fatal(http.Serve(listener, handler))
}
