-- The tutorial's own three tables, as MySQL 4.1 and later dump them, with rows as twenty years leave them behind.
/*!40101 SET NAMES utf8 */;

DROP TABLE IF EXISTS `domains`;
CREATE TABLE `domains` (
  `domain` varchar(50) NOT NULL,
  PRIMARY KEY  (`domain`),
  UNIQUE KEY `domain` (`domain`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

INSERT INTO `domains` VALUES ('virtual.test');
INSERT INTO `domains` VALUES ('Example.ORG');
INSERT INTO `domains` VALUES ('bücher.example');
INSERT INTO `domains` VALUES ('under_score.example');

DROP TABLE IF EXISTS `forwardings`;
CREATE TABLE `forwardings` (
  `source` varchar(80) NOT NULL,
  `destination` text NOT NULL,
  PRIMARY KEY  (`source`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

INSERT INTO `forwardings` VALUES ('@virtual.test','user@virtual.test');
INSERT INTO `forwardings` VALUES ('@example.org','@virtual.test');
INSERT INTO `forwardings` VALUES ('Sales@Example.org','ann@example.org, bob@elsewhere.example ,\r\ncarl@virtual.test');
INSERT INTO `forwardings` VALUES ('postmaster','user@virtual.test');
INSERT INTO `forwardings` VALUES ('root@mail.local','user@virtual.test,root');
INSERT INTO `forwardings` VALUES ('self@virtual.test','self@virtual.test,user@virtual.test');
INSERT INTO `forwardings` VALUES ('half@virtual.test','jörg@virtual.test,user@virtual.test');
INSERT INTO `forwardings` VALUES ('lost@virtual.test',' , ');
INSERT INTO `forwardings` VALUES ('two words@virtual.test','user@virtual.test');

DROP TABLE IF EXISTS `users`;
CREATE TABLE `users` (
  `email` varchar(80) character set latin1 collate latin1_bin NOT NULL,
  `password` varchar(20) NOT NULL,
  UNIQUE KEY `email` (`email`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;

INSERT INTO `users` VALUES ('user@virtual.test','secret');
INSERT INTO `users` VALUES ('Ann@Example.org','$ecret');
INSERT INTO `users` VALUES ('o\'brien+lists@virtual.test','it\'s \"quoted\"');
INSERT INTO `users` VALUES ('USER@virtual.test','other');
INSERT INTO `users` VALUES ('bob@elsewhere.example','secret');
INSERT INTO `users` VALUES ('info@bücher.example','secret');
INSERT INTO `users` VALUES ('jörg@virtual.test','secret');
INSERT INTO `users` VALUES ('umlaut@virtual.test','pässwort');
INSERT INTO `users` VALUES ('nobody','secret');
INSERT INTO `users` VALUES ('cut@virtual.test','$1$abcdefgh$12345678');
INSERT INTO `users` VALUES ('empty@virtual.test','');
INSERT INTO `users` VALUES ('../escape@virtual.test','secret');
