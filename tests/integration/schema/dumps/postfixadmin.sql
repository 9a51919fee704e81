-- The tables of PostfixAdmin 3.3 that hold mail addresses, as its setup creates them on MariaDB.
/*!40101 SET NAMES utf8mb4 */;

CREATE TABLE `domain` (
  `domain` varchar(255) NOT NULL,
  `description` varchar(255) CHARACTER SET utf8mb3 NOT NULL,
  `aliases` int(10) NOT NULL DEFAULT 0,
  `mailboxes` int(10) NOT NULL DEFAULT 0,
  `maxquota` bigint(20) NOT NULL DEFAULT 0,
  `quota` bigint(20) NOT NULL DEFAULT 0,
  `transport` varchar(255) NOT NULL,
  `backupmx` tinyint(1) NOT NULL DEFAULT 0,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  `password_expiry` int(11) DEFAULT 0,
  PRIMARY KEY (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='Postfix Admin - Virtual Domains';

INSERT INTO `domain` (`domain`,`description`,`transport`,`backupmx`,`active`) VALUES
('ALL','','',0,1),
('example.org','Grüße','virtual',0,1),
('alias.example','','virtual',0,1),
('loud.example','','virtual',0,1),
('sleeping.example','','virtual',0,0),
('backup.example','','virtual',1,1);

CREATE TABLE `mailbox` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `name` varchar(255) CHARACTER SET utf8mb3 NOT NULL,
  `maildir` varchar(255) NOT NULL,
  `quota` bigint(20) NOT NULL DEFAULT 0,
  `local_part` varchar(255) NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`username`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='Postfix Admin - Virtual Mailboxes';

INSERT INTO `mailbox` (`username`,`password`,`name`,`maildir`,`quota`,`local_part`,`domain`,`active`) VALUES
('ann@example.org','$1$saltsalt$9xy1btjgzLYfb7hivXtC//','Ann','example.org/ann/',102400000,'ann','example.org',1),
('bob@example.org','{SHA512-CRYPT}$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.','Bob','example.org/bob/',0,'bob','example.org',0),
('sleepy@sleeping.example','$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.','','sleeping.example/sleepy/',-1,'sleepy','sleeping.example',1),
('mx@backup.example','secret','','backup.example/mx/',0,'mx','backup.example',1);

CREATE TABLE `alias` (
  `address` varchar(255) NOT NULL,
  `goto` text NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`address`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='Postfix Admin - Virtual Aliases';

INSERT INTO `alias` (`address`,`goto`,`domain`,`active`) VALUES
('ann@example.org','Ann@example.org','example.org',1),
('bob@example.org','bob@example.org,bob#example.org@autoreply.example.org','example.org',1),
('sleepy@sleeping.example','sleepy@sleeping.example,copy@example.org','sleeping.example',1),
('abuse@example.org','ann@example.org','example.org',1),
('off@example.org','ann@example.org,bob@example.org','example.org',0),
('@loud.example','ann@example.org','loud.example',1),
('gone@example.org','','example.org',1);

CREATE TABLE `alias_domain` (
  `alias_domain` varchar(255) NOT NULL,
  `target_domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`alias_domain`),
  KEY `active` (`active`),
  KEY `target_domain` (`target_domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='Postfix Admin - Domain Aliases';

INSERT INTO `alias_domain` (`alias_domain`,`target_domain`,`active`) VALUES
('alias.example','example.org',1),
('loud.example','example.org',1);
