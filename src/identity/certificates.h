// The certificates below server/tls: CAs that live as long as the cluster, and leaves that are made anew when they must be.
// What exists and is good is never touched. Names and signers are RKE2's:
//
//   tls/{client,server,request-header}-ca.{crt,key}   CAs; server-ca signs supervisor.{crt,key}
//   tls/service.key                                   RSA
//   tls/etcd/server-ca    signs  server-client (etcd's client port) and client (we, and people with etcdctl)
//   tls/etcd/peer-ca      signs  peer-server-client (etcd's peer port)
#pragma once

#include <string>
#include <vector>

#include "base/layout.h"
#include "keys/pki.h"
#include "os/file_system.h"

namespace holdfast {

struct CertificateOptions {
  std::string distribution;       // for the names of new CAs: "holdfast-server-ca@<unix>"
  std::vector<std::string> sans;  // this node's names and addresses, besides loopback
  absl::Time now;
  // A CA's key without its certificate is what a killed first run left: both are made anew. Otherwise it is a loss.
  bool replace_lone_keys = false;
};

// Makes CAs that are not there. kFailedPrecondition if a CA has lost its certificate or key, or they do not belong together.
Status EnsureCas(FileSystem& fs, const DataLayout& layout, const CertificateOptions& options);

// Makes leaves that are missing, expire in under 120 days, lack a name, or are of another CA; says why in the log.
Status EnsureLeaves(FileSystem& fs, const DataLayout& layout, const CertificateOptions& options);

// Copies tls/ to tls-<unix> and removes the leaves, so that EnsureLeaves() makes them anew; returns the copy's path. The CAs
// stay.
StatusOr<std::string> RetireLeaves(FileSystem& fs, const DataLayout& layout, absl::Time now);

// True if every CA is on disk.
StatusOr<bool> HasCas(FileSystem& fs, const DataLayout& layout);

// A certificate and its key from the two files "<stem>.crt" and "<stem>.key".
StatusOr<KeyPair> ReadKeyPair(FileSystem& fs, const std::string& stem);

}  // namespace holdfast
