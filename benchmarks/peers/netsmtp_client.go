// Go's net/smtp as a client to measure: a goroutine for each connection. Options and output are those of the
// clients in Python (common.py).
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/smtp"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func transaction(client *smtp.Client, recipients []string, text []byte) error {
	if err := client.Mail("sender@example.com"); err != nil {
		return err
	}
	for _, recipient := range recipients {
		if err := client.Rcpt(recipient); err != nil {
			return err
		}
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(text); err != nil {
		return err
	}
	return body.Close()
}

func send(clients []*smtp.Client, recipients []string, text []byte, times int) {
	var all sync.WaitGroup
	for _, client := range clients {
		all.Add(1)
		go func(client *smtp.Client) {
			defer all.Done()
			for i := 0; i < times; i++ {
				if err := transaction(client, recipients, text); err != nil {
					log.Fatal(err)
				}
			}
		}(client)
	}
	all.Wait()
}

func main() {
	port := flag.Int("port", 0, "")
	message := flag.String("message", "", "")
	connections := flag.Int("connections", 1, "")
	number := flag.Int("recipients", 1, "")
	times := flag.Int("times", 1, "")
	warmUp := flag.Int("warm-up", 0, "")
	flag.Parse()
	text, err := os.ReadFile(*message)
	if err != nil {
		log.Fatal(err)
	}
	var recipients []string
	for i := 0; i < *number; i++ {
		recipients = append(recipients, fmt.Sprintf("recipient%d@example.org", i))
	}
	var clients []*smtp.Client
	for i := 0; i < *connections; i++ {
		client, err := smtp.Dial(fmt.Sprintf("127.0.0.1:%d", *port))
		if err != nil {
			log.Fatal(err)
		}
		if err := client.Hello("client"); err != nil {
			log.Fatal(err)
		}
		clients = append(clients, client)
	}
	send(clients, recipients, text, *warmUp)
	used, started := cpu(), time.Now()
	send(clients, recipients, text, *times)
	wall, messages := time.Since(started).Seconds(), float64(*times**connections)
	used = cpu() - used
	for _, client := range clients {
		if err := client.Quit(); err != nil {
			log.Fatal(err)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"cpu": used / messages, "rate": messages / wall, "version": runtime.Version(),
	})
}
