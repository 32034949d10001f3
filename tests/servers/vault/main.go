// A real Vault for the tests: Vault's own core, storage, audit and HTTP API. The stock command cannot be built from its
// public module, so this is a short one around the same core. It knows what the tests ask for and nothing else.
//
//	vault -listen ADDRESS -data DIR [-sealed] [-listen-tls ADDRESS -cert FILE -key FILE [-client-ca FILE]]
//
// The first start writes DIR/keys.json ({"root_token": …, "unseal_key": …}); later starts unseal with it, unless -sealed
// is given. With -client-ca a client may show a certificate, and with -require-client-cert it has to.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/metricsutil"
	api "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

type keys struct {
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

// registry is the catalogue of plugins that come with the server.
type registry map[consts.PluginType]map[string]logical.Factory

var builtin = registry{
	consts.PluginTypeSecrets: {"kv": kv.Factory, "transit": transit.Factory},
	consts.PluginTypeCredential: {
		"approle": approle.Factory, "cert": cert.Factory, "jwt": jwt.Factory,
		"kubernetes": kubernetes.Factory, "userpass": userpass.Factory,
	},
}

func (r registry) Contains(name string, kind consts.PluginType) bool {
	return r[kind][name] != nil
}

func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory := r[kind][name]
	return func() (any, error) { return factory, nil }, factory != nil
}

func (r registry) Keys(kind consts.PluginType) (names []string) {
	for name := range r[kind] {
		names = append(names, name)
	}
	return names
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (r registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port of plain HTTP")
	listenTLS := flag.String("listen-tls", "", "address and port of HTTPS, if there shall be one")
	data := flag.String("data", "", "folder of the storage and of keys.json")
	certificate := flag.String("cert", "", "certificate file (PEM)")
	key := flag.String("key", "", "private key file (PEM)")
	clientCA := flag.String("client-ca", "", "CA file (PEM) of the client certificates that may be shown")
	require := flag.Bool("require-client-cert", false, "refuse clients that show no certificate")
	sealed := flag.Bool("sealed", false, "leave it sealed")
	flag.Parse()

	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr})
	storage, err := file.NewFileBackend(map[string]string{"path": filepath.Join(*data, "storage")}, logger)
	check(err)
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		Logger:             logger,
		BuiltinRegistry:    builtin,
		LogicalBackends:    builtin[consts.PluginTypeSecrets],
		CredentialBackends: builtin[consts.PluginTypeCredential],
		AuditBackends:      map[string]audit.Factory{"file": audit.NewFileBackend},
		DisableMlock:       true,
		MetricSink:         metricsutil.BlackholeSink(),
		MetricsHelper:      metricsutil.NewMetricsHelper(nil, false),
	})
	check(err)
	prepare(core, *data, *sealed)

	handler := api.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Type: "tcp"},
	})
	if *listenTLS != "" {
		config := encryption(*certificate, *key, *clientCA, *require)
		listener, err := tls.Listen("tcp", *listenTLS, config)
		check(err)
		go func() { check(http.Serve(listener, handler)) }()
	}
	listener, err := net.Listen("tcp", *listen)
	check(err)
	log.Println("listening on", listener.Addr())
	check(http.Serve(listener, handler))
}

// prepare initialises and unseals the core.
func prepare(core *vault.Core, data string, sealed bool) {
	path := filepath.Join(data, "keys.json")
	text, err := os.ReadFile(path)
	if err == nil {
		if !sealed {
			var known keys
			check(json.Unmarshal(text, &known))
			unseal(core, known)
		}
		return
	}
	if !errors.Is(err, fs.ErrNotExist) {
		check(err)
	}
	made, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	check(err)
	known := keys{RootToken: made.RootToken, UnsealKey: base64.StdEncoding.EncodeToString(made.SecretShares[0])}
	text, err = json.Marshal(known)
	check(err)
	unseal(core, known)
	check(os.WriteFile(path, text, 0o600))
}

func unseal(core *vault.Core, known keys) {
	key, err := base64.StdEncoding.DecodeString(known.UnsealKey)
	check(err)
	_, err = core.Unseal(key)
	check(err)
}

func encryption(certificate, key, clientCA string, require bool) *tls.Config {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clientCA != "" {
		text, err := os.ReadFile(clientCA)
		check(err)
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			log.Fatalf("%s holds no certificate", clientCA)
		}
	}
	if require {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
