#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/exit_codes.h"
#include "config/flags.h"

namespace holdfast {
namespace {

struct CommandHelp {
  std::string_view words;  // "etcd-snapshot save"
  Command command;
  std::string_view usage;
  std::string_view summary;
  std::string_view text;
  std::vector<std::string_view> examples;
};

const std::vector<CommandHelp>& Commands() {
  static const std::vector<CommandHelp> commands = {
      {"server",
       kServer,
       "server [flags]",
       "Run etcd with snapshots on a schedule; reset or restore it",
       "Starts and watches an etcd of its own, takes snapshots of it by schedule and on demand, "
       "and keeps the newest; with --datastore-endpoint of that datastore instead. With --server "
       "it "
       "joins the cluster of that server. With "
       "--cluster-reset it makes this node the only member of the cluster, with its present data "
       "or those of a snapshot, and ends.",
       {"server",
        "server --etcd-snapshot-schedule-cron='0 */4 * * *' --etcd-snapshot-retention=12 "
        "--etcd-snapshot-compress",
        "server --server https://10.0.0.1:9345 --token-file ./token", "server --cluster-reset",
        "server --datastore-endpoint sqlite:///var/lib/rancher/k3s/server/db/state.db",
        "server --etcd-s3 --etcd-s3-bucket=backups --etcd-s3-folder=prod --etcd-s3-retention=30",
        "server --cluster-reset "
        "--cluster-reset-restore-path=s3://backups/prod/on-demand-n1-1753178523 "
        "--token-file=./old-token",
        "server --cluster-reset "
        "--cluster-reset-restore-path=/var/lib/holdfast/server/db/snapshots/"
        "on-demand-n1-1753178523",
        "server --cluster-reset --cluster-reset-restore-path=./on-demand-n1-1753178523.zip "
        "--token-file=./old-token"}},
      {"etcd-snapshot save",
       kSnapshotSave,
       "etcd-snapshot save [flags]",
       "Take a snapshot now",
       "Asks the running server to take a snapshot, shows its progress, and ends when the snapshot "
       "is durable and verified, with S3 in both places. Without S3 flags the server's own S3 "
       "settings hold; --s3=false "
       "keeps it local.",
       {"etcd-snapshot save",
        "etcd-snapshot save --s3 --s3-bucket backups --s3-folder prod --s3-region eu-central-1",
        "etcd-snapshot save --name pre-upgrade --etcd-snapshot-compression=zstd"}},
      {"etcd-snapshot ls",
       kSnapshotList,
       "etcd-snapshot ls [flags]",
       "List snapshots (also: list, l)",
       "Lists the snapshots the server has, a copy in S3 as a row of its own. While no server "
       "answers on this host, what is "
       "in the local directory and, with --s3, in the bucket: so a new host finds its snapshot.",
       {"etcd-snapshot ls", "etcd-snapshot ls -o json",
        "etcd-snapshot ls --s3 --s3-endpoint s3.example.org --s3-bucket backups --s3-folder prod"}},
      {"etcd-snapshot prune",
       kSnapshotPrune,
       "etcd-snapshot prune [flags]",
       "Delete all but the newest snapshots of a name",
       "Deletes the oldest snapshots of one base name until as many are left as "
       "--snapshot-retention says. The default name is that of "
       "on-demand snapshots; scheduled ones are pruned with --name etcd-snapshot. With S3 the same "
       "happens in the bucket, "
       "where only what this node of this cluster has put there counts; --s3-retention is its "
       "limit.",
       {"etcd-snapshot prune --snapshot-retention 3",
        "etcd-snapshot prune --name etcd-snapshot --snapshot-retention 10"}},
      {"etcd-snapshot delete",
       kSnapshotDelete,
       "etcd-snapshot delete NAME... [flags]",
       "Delete snapshots by name",
       "Deletes snapshots by their names as ls shows them, with S3 also the copies in the bucket.",
       {"etcd-snapshot delete on-demand-n1-1753178523.zip"}},
      {"etcd-snapshot status",
       kSnapshotStatus,
       "etcd-snapshot status SNAPSHOT [flags]",
       "Verify a snapshot file and tell what is in it",
       "Recomputes the digest, walks the whole structure, and prints hash, revision, keys and "
       "size. Needs no server. Fails on a "
       "single flipped bit. s3://BUCKET/KEY is downloaded for it, to $TMPDIR.",
       {"etcd-snapshot status ./on-demand-n1-1753178523",
        "etcd-snapshot status backup.db.zst -o json"}},
      {"etcd-snapshot s3-check",
       kS3Check,
       "etcd-snapshot s3-check [flags]",
       "Try everything that the S3 settings will need",
       "Finds the bucket, then writes, lists, reads and deletes a small object in the folder, from "
       "this host and with these "
       "settings, and tells what works and which permission is missing. Needs no server.",
       {"etcd-snapshot s3-check", "etcd-snapshot s3-check --s3-bucket backups --s3-folder prod"}},
      {"restore",
       kRestore,
       "restore SNAPSHOT --data-dir DIR | --datastore-endpoint URL [flags]",
       "Turn a snapshot into a data directory for any etcd, or put it back into a datastore",
       "Does what `etcdutl snapshot restore` does, with the same options, and verifies the "
       "snapshot first. For kubeadm and bare etcd "
       "clusters: run it on each member with that member's name and URL, then start etcd. A server "
       "of this program is restored with "
       "server --cluster-reset instead. With --datastore-endpoint the snapshot of a database goes "
       "back into an empty or new one, or with --clean replaces what is there, after a snapshot of "
       "that.",
       {"restore backup.db --data-dir /var/lib/etcd",
        "restore backup.db --data-dir /var/lib/etcd --name n1 --initial-cluster "
        "n1=https://10.0.0.1:2380,n2=https://10.0.0.2:2380 "
        "--initial-advertise-peer-urls https://10.0.0.1:2380",
        "restore s3://backups/prod/on-demand-n1-1753178523 --data-dir /var/lib/etcd "
        "--s3-endpoint s3.example.org",
        "restore backup.db --data-dir /var/lib/etcd --bump-revision 1000000000 --mark-compacted",
        "restore on-demand-n1-1753178523.zst --datastore-endpoint "
        "postgres://kine:secret@10.0.0.5:5432/kubernetes --clean --dry-run",
        "restore backup.db --datastore-endpoint https://10.0.0.1:2379 --into-live"}},
      {"agent",
       kAgent,
       "agent --server URL --token TOKEN [flags]",
       "Reach the cluster's etcd from a host without one",
       "Joins as a node without etcd: gets a client certificate of its own (DATA/agent/tls), and "
       "passes connections to 127.0.0.1:2379 on to the cluster's servers, whichever live. It "
       "follows the cluster as servers come and go. etcd has no users here: an agent's host may "
       "read "
       "and change all of its data, the list of its members too.",
       {"agent --server https://10.0.0.1:9345 --token-file ./token"}},
      {"node ls",
       kNodeList,
       "node ls [flags]",
       "List the cluster's nodes (also: list)",
       "Asks a running server, which asks the others. Without quorum it lists the servers it "
       "remembers. What is not ready is said with the reason.",
       {"node ls", "node ls -o json"}},
      {"node remove",
       kNodeRemove,
       "node remove NAME [flags]",
       "Take a node out of the cluster",
       "A leader gives its office away first; the removal is refused if the servers that are left "
       "would be no quorum. A server that was removed stops; started again with --server it sets "
       "its data aside and joins as a new member.",
       {"node remove n3", "node remove n3 --force"}},
      {"token show",
       kTokenShow,
       "token show [flags]",
       "Show the tokens of servers and agents, on a server",
       "",
       {"token show"}},
      {"token rotate",
       kTokenRotate,
       "token rotate [flags]",
       "Replace the server token",
       "Seals the bootstrap data with the new token and writes it on the server that is asked. "
       "Then start every other server and agent again with the new token. Snapshots taken before "
       "need the token of their time.",
       {"token rotate", "token rotate --new-token NEW"}},
      {"certificate rotate",
       kCertificateRotate,
       "certificate rotate [flags]",
       "Have this server's certificates made anew at its next start",
       "The server must be stopped. Its certificate authorities stay.",
       {"certificate rotate"}},
      {"datastore status",
       kDatastoreStatus,
       "datastore status --datastore-endpoint URL [flags]",
       "Look at a datastore: does it answer, what is in it",
       "Connects as a server with that endpoint would, says what would keep it from taking "
       "snapshots, and counts the keys if it is an etcd or holds a kine table.",
       {"datastore status --datastore-endpoint postgres://kine:secret@10.0.0.5:5432/kubernetes",
        "datastore status --datastore-endpoint sqlite:///var/lib/rancher/k3s/server/db/state.db -o "
        "json"}},
      {"datastore migrate",
       kDatastoreMigrate,
       "datastore migrate --from URL --to URL [flags]",
       "Copy all keys from one datastore into another",
       "Between etcd and the kine tables of SQLite, PostgreSQL and MySQL. Live keys are copied "
       "and, "
       "from kine to kine, their history; then both sides are read and their content hashes "
       "compared. The source is never changed, the target must hold no keys. Stop the servers that "
       "write to the source first.",
       {"datastore migrate --from sqlite:///var/lib/rancher/k3s/server/db/state.db --to "
        "https://127.0.0.1:2379 --to-cafile ca.crt --to-certfile client.crt --to-keyfile "
        "client.key",
        "datastore migrate --from sqlite://state.db --to "
        "postgres://kine:secret@10.0.0.5:5432/kubernetes"}},
      {"version", kVersion, "version", "Show the versions of this program and of etcd", "", {}},
  };
  return commands;
}

struct ExitHelp {
  int code;
  std::string_view meaning;
};
const std::vector<ExitHelp>& ExitHelps() {
  static const std::vector<ExitHelp> codes = {
      {kExitDone, "done"},
      {kExitFailed, "failed; the message says why"},
      {kExitUsage, "wrong words: a flag, the configuration, a name"},
      {kExitDamaged, "a snapshot or database is damaged"},
      {kExitWrongToken,
       "the token is not the right one, a permission is missing, or this server was removed or "
       "fenced"},
      {kExitUnreachable, "the server, etcd or S3 cannot be reached or did not answer in time"},
      {kExitBusy, "somebody else is doing it now: try again later"},
  };
  return codes;
}

// What stands left in a list of flags: "-d, --data-dir DIR".
std::string FlagHead(const Flag& flag) {
  std::string out = flag.letter != 0 ? fmt::format("-{}, ", flag.letter) : "    ";
  out += fmt::format("--{}", flag.name);
  for (const std::string& alias : Split(flag.aliases, ' ')) {
    if (!alias.empty()) out += fmt::format(", --{}", alias);
  }
  if (!flag.value_name.empty()) out += fmt::format(" {}", flag.value_name);
  return out;
}

std::string FlagNotes(const Flag& flag, const Distribution& distribution) {
  std::string out;
  if (!flag.default_text.empty() && flag.default_text != "false" && flag.default_text != "0")
    out += fmt::format(" (default: {})", flag.default_text);
  if (flag.type == FlagType::kList) out += " (may be repeated)";
  for (const std::string& env :
       {flag.EnvironmentName(distribution.env_prefix), std::string(flag.foreign_env)}) {
    if (!env.empty()) out += fmt::format(" [${}]", env);
  }
  return out;
}

std::vector<const Flag*> VisibleFlags(Command command) {
  std::vector<const Flag*> out;
  for (const Flag& flag : AllFlags()) {
    if ((flag.commands & command) != 0 && !flag.hidden) out.push_back(&flag);
  }
  return out;
}

// Breaks `text` into lines of at most `width`, each after the first behind `indent` blanks.
std::string Wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t column = 0;
  for (const std::string& word : Split(text, ' ')) {
    if (column > 0 && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

constexpr std::size_t kColumns = 100, kFlagIndent = 6;

constexpr std::string_view kAbout =
    "holdfast runs an etcd, takes snapshots of it by schedule and on demand, proves each one when "
    "it is taken, and restores the "
    "cluster from one of them: everything is verified before anything is moved. Snapshots are "
    "plain etcd snapshots; the layout of the "
    "data directory, flags and configuration are those of RKE2 and K3s, under whose names (as a "
    "link to the program) it takes their paths too.";
constexpr std::string_view kFlagRules =
    "A flag may be written -name or --name, its value behind = or in the next word; a flag that is "
    "on or off takes a value only with =. "
    "The command line wins over the configuration file, which wins over the environment (the "
    "variables in brackets).";

std::string CommandText(const CommandHelp& help, const Distribution& distribution) {
  std::string out =
      fmt::format("{}\n\nUsage: {} {}\n", help.summary, distribution.name, help.usage);
  if (!help.text.empty()) out += fmt::format("\n{}\n", Wrap(help.text, kColumns, 0));
  if (!help.examples.empty()) {
    out += "\nExamples:\n";
    for (std::string_view example : help.examples)
      out += fmt::format("  {} {}\n", distribution.name, example);
  }
  const auto flags = VisibleFlags(help.command);
  if (!flags.empty()) out += "\nFlags:\n";
  for (const Flag* flag : flags) {
    const std::string text = std::string(flag->help) + FlagNotes(*flag, distribution);
    out += fmt::format("  {}\n{}{}\n", FlagHead(*flag), std::string(kFlagIndent, ' '),
                       Wrap(text, kColumns - kFlagIndent, kFlagIndent));
  }
  return out;
}

std::string OverviewText(std::string_view group, const Distribution& distribution) {
  std::string out =
      group.empty()
          ? fmt::format(
                "Backup and disaster recovery for etcd-based clusters\n\nUsage: {} COMMAND "
                "[flags]\n\nCommands:\n",
                distribution.name)
          : fmt::format("Usage: {} {} COMMAND [flags]\n\nCommands:\n", distribution.name, group);
  for (const CommandHelp& help : Commands()) {
    if (!group.empty() && !help.words.starts_with(fmt::format("{} ", group))) continue;
    out += fmt::format("  {:24} {}\n", help.words, help.summary);
  }
  out += fmt::format("\nConfiguration: {0}, {0}.d/*.yaml; every flag is a key there.\n",
                     distribution.config_file);
  out += "\nExit codes:\n";
  for (const ExitHelp& exit : ExitHelps()) out += fmt::format("  {} {}\n", exit.code, exit.meaning);
  return out + fmt::format("\nMore about a command: {} help {}\n", distribution.name,
                           group.empty() ? "COMMAND" : fmt::format("{} COMMAND", group));
}

std::string Roff(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

}  // namespace

std::string HelpText(const std::vector<std::string>& words, const Distribution& distribution) {
  std::string wanted = Join(words, " ");
  if (wanted == "node list") wanted = "node ls";
  if (wanted == "etcd-snapshot list" || wanted == "etcd-snapshot l") wanted = "etcd-snapshot ls";
  for (const CommandHelp& help : Commands()) {
    if (help.words == wanted) return CommandText(help, distribution);
  }
  const bool is_group = wanted == "etcd-snapshot" || wanted == "node" || wanted == "token" ||
                        wanted == "certificate" || wanted == "datastore";
  return OverviewText(is_group ? wanted : "", distribution);
}

std::string ManualPage(const Distribution& distribution) {
  std::string out = ".TH HOLDFAST 8 \"\" \"holdfast " HOLDFAST_VERSION
                    "\" \"System administration\"\n"
                    ".SH NAME\nholdfast \\- backup and disaster recovery for etcd\\-based "
                    "clusters\n.SH SYNOPSIS\n";
  for (const CommandHelp& help : Commands())
    out += fmt::format(".B {} {}\n.br\n", distribution.name, Roff(help.usage));
  out += fmt::format(".SH DESCRIPTION\n{}\n.PP\n{}\n", Roff(kAbout), Roff(kFlagRules));
  out += ".SH COMMANDS\n";
  for (const CommandHelp& help : Commands()) {
    out += fmt::format(".SS {}\n{}.\n", Roff(help.words), Roff(help.summary));
    if (!help.text.empty()) out += fmt::format(".PP\n{}\n", Roff(help.text));
    for (const Flag* flag : VisibleFlags(help.command)) {
      out += fmt::format(".TP\n.B {}\n{}{}\n", Roff(Trim(FlagHead(*flag))), Roff(flag->help),
                         Roff(FlagNotes(*flag, distribution)));
    }
    if (!help.examples.empty()) out += ".PP\nExamples:\n.nf\n";
    for (std::string_view example : help.examples)
      out += fmt::format("    {} {}\n", distribution.name, Roff(example));
    if (!help.examples.empty()) out += ".fi\n";
  }
  out += fmt::format(
      ".SH FILES\n.TP\n.B {0}, {0}.d/*.yaml\nConfiguration: every flag of a command is a "
      "key.\n.TP\n.B {1}/server/db/snapshots\n"
      "Snapshots.\n.TP\n.B {1}/server/token\nThe server token: keep a copy elsewhere, snapshots "
      "cannot be restored without it.\n",
      Roff(distribution.config_file), Roff(distribution.data_dir));
  out += ".SH EXIT STATUS\n";
  for (const ExitHelp& exit : ExitHelps())
    out += fmt::format(".TP\n.B {}\n{}\n", exit.code, Roff(exit.meaning));
  out += ".SH SEE ALSO\n.BR etcd (1),\n.BR etcdctl (1),\n.BR systemctl (1)\n";
  return out;
}

}  // namespace holdfast
