# Ask the database of amavis' configuration for the hosted domains, as amavis does for each message.
use strict;
use DBI;
use Amavis::Conf;

Amavis::Conf::include_config_files('/etc/amavis/conf.d/50-user');
for my $dsn (@Amavis::Conf::lookup_sql_dsn) {
  my $database = DBI->connect(@$dsn, {PrintError => 0, RaiseError => 0});
  exit 0 if $database && $database->do('SELECT 1 FROM domains WHERE enabled LIMIT 1');
  print "amavis cannot read the table domains through $dsn->[0]: $DBI::errstr\n";
}
exit 1;
