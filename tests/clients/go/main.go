// Sends NDJSON events from stdin with go-lumber, the client inside every Beat, until each is acknowledged.
//
// As Filebeat's logstash output does: any error closes the connection, and every window that was not acknowledged is
// sent again whole on the next one.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	lumber "github.com/elastic/go-lumber/client/v2"
)

var (
	to       = flag.String("to", "127.0.0.1:5044", "HOST:PORT of the receiver")
	window   = flag.Int("window", 2048, "events a window")
	compress = flag.Int("compress", 3, "zlib level, 0 for none")
	pipeline = flag.Int("pipeline", 2, "windows in flight; 0 uses the synchronous client")
	timeout  = flag.Duration("timeout", 30*time.Second, "read and write time-out")
	giveUp   = flag.Duration("give-up", 2*time.Minute, "fail when not all is acknowledged by then")
	useTLS   = flag.Bool("tls", false, "speak TLS")
	ca       = flag.String("ca", "", "PEM file of the receiver's authorities")
	cert     = flag.String("cert", "", "PEM file of the client's certificate")
	key      = flag.String("key", "", "PEM file of the client's key")
)

func main() {
	flag.Parse()
	windows, events, err := readWindows()
	check(err)
	dial, err := dialer()
	check(err)
	deadline := time.Now().Add(*giveUp)
	resends := 0
	for len(windows) > 0 {
		left, err := session(dial, windows)
		if err != nil {
			if time.Now().After(deadline) {
				check(fmt.Errorf("gave up with %d windows left: %w", len(left), err))
			}
			resends++
			time.Sleep(100 * time.Millisecond)
		}
		windows = left
	}
	fmt.Printf("{\"events\":%d,\"connections\":%d}\n", events, resends+1)
}

// session sends the windows over one connection and returns those that were not acknowledged, in order.
func session(dial func(network, address string) (net.Conn, error), windows [][]interface{}) ([][]interface{}, error) {
	options := []lumber.Option{
		lumber.CompressionLevel(*compress),
		lumber.Timeout(*timeout),
		lumber.JSONEncoder(func(event interface{}) ([]byte, error) { return event.(json.RawMessage), nil }),
	}
	if *pipeline == 0 {
		client, err := lumber.SyncDialWith(dial, *to, options...)
		if err != nil {
			return windows, err
		}
		defer client.Close()
		for i, events := range windows {
			if n, err := client.Send(events); err != nil || n != len(events) {
				return windows[i:], fmt.Errorf("%d of %d acknowledged: %w", n, len(events), err)
			}
		}
		return nil, nil
	}

	client, err := lumber.AsyncDialWith(dial, *to, *pipeline, options...)
	if err != nil {
		return windows, err
	}
	var mutex sync.Mutex
	var failed error
	acked := make([]bool, len(windows))
	var waiting sync.WaitGroup
	for i, events := range windows {
		i, want := i, len(events)
		waiting.Add(1)
		err := client.Send(func(seq uint32, err error) {
			mutex.Lock()
			defer mutex.Unlock()
			defer waiting.Done()
			if err == nil && int(seq) == want {
				acked[i] = true
			} else if failed == nil {
				failed = fmt.Errorf("%d of %d acknowledged: %v", seq, want, err)
			}
		}, events)
		if err != nil {
			break
		}
	}
	waitOrClose(client, &waiting, &mutex, &failed)
	var left [][]interface{}
	for i, events := range windows {
		if !acked[i] {
			left = append(left, events)
		}
	}
	if len(left) > 0 && failed == nil {
		failed = fmt.Errorf("the connection was closed")
	}
	return left, failed
}

// waitOrClose waits for the last answer; the client's ack loop reports every window, also after an error.
func waitOrClose(client *lumber.AsyncClient, waiting *sync.WaitGroup, mutex *sync.Mutex, failed *error) {
	done := make(chan struct{})
	go func() { waiting.Wait(); close(done) }()
	for {
		select {
		case <-done:
			_ = client.Close()
			return
		case <-time.After(50 * time.Millisecond):
			mutex.Lock()
			broken := *failed != nil
			mutex.Unlock()
			if broken {
				// Closing drains what the ack loop still holds.
				_ = client.Close()
				<-done
				return
			}
		}
	}
}

func dialer() (func(network, address string) (net.Conn, error), error) {
	plain := net.Dialer{Timeout: *timeout}
	if !*useTLS {
		return plain.Dial, nil
	}
	config := &tls.Config{}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", *ca)
		}
	}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return func(network, address string) (net.Conn, error) {
		return tls.DialWithDialer(&plain, network, address, config)
	}, nil
}

func readWindows() ([][]interface{}, int, error) {
	var windows [][]interface{}
	var current []interface{}
	events := 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		current = append(current, json.RawMessage(append([]byte(nil), lines.Bytes()...)))
		events++
		if len(current) == *window {
			windows, current = append(windows, current), nil
		}
	}
	if len(current) > 0 {
		windows = append(windows, current)
	}
	return windows, events, lines.Err()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
